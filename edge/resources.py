"""Finds the data of `config/`: in the checkout beside `edge/`, in the wheel inside it."""

from pathlib import Path


def config_dir() -> Path:
    """Folder with `profiles/`, `regulations/`, `texts/` and `sites/`."""
    here = Path(__file__).resolve().parent
    installed = here / "_config"
    return installed if installed.is_dir() else here.parent / "config"
