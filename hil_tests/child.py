"""What every process of the bench does at its birth and when it is ready."""

import ctypes
import json
import os
import runpy
import signal
import sys
from collections.abc import Mapping

_PR_SET_PDEATHSIG = 1


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when `parent` (a process id) dies; at once if it has died already."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)


def report_ready(facts: Mapping[str, str | int]) -> None:
    """Tell the bench that this process serves now, and where: one line of JSON on standard output."""
    sys.stdout.write(json.dumps(dict(facts)) + "\n")
    sys.stdout.flush()


def run_module(arguments: list[str]) -> None:
    """Be another program's module that dies with its parent: PARENT MODULE ARGUMENTS... as given to `-m`."""
    die_with_parent(int(arguments[0]))
    sys.argv = arguments[1:]
    runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    run_module(sys.argv[1:])
