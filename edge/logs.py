"""Structured log lines on stderr: `key=value`, with journald's priority prefix when systemd listens.

The records of the plant are in the journal of `edge.journal`, not here: these lines are for engineers.
"""

import json
import logging
import os
import sys
from datetime import UTC, datetime

_PRIORITY = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class LineFormatter(logging.Formatter):
    """One line per record: time (journald stamps its own), level, logger, message, the extra fields."""

    def __init__(self, journald: bool) -> None:
        super().__init__()
        self._journald = journald

    def format(self, record: logging.LogRecord) -> str:
        """The line, without a line break inside it."""
        words = [f"{record.levelname.lower()} {record.name}: {record.getMessage()}"]
        words += [f"{key}={_value(value)}" for key, value in vars(record).items() if key not in _STANDARD]
        if record.exc_info:
            words.append(f"exception={_value(self.formatException(record.exc_info))}")
        line = _printable(" ".join(words))
        if self._journald:
            return f"<{_PRIORITY.get(record.levelno, 6)}>{line}"
        return f"{datetime.fromtimestamp(record.created, UTC).isoformat(timespec='milliseconds')} {line}"


def _printable(text: str) -> str:
    """No line break of any kind, no control sequence, nothing that UTF-8 cannot carry."""
    if text.isprintable():
        return text
    return "".join(
        mark if mark.isprintable() else mark.encode("unicode_escape").decode("ascii") for mark in text
    )


def _value(value: object) -> str:
    text = str(value)
    bare = text.isprintable() and not any(mark in text for mark in ' "=\\')
    return text if text and bare else json.dumps(text, ensure_ascii=False)


def _journald_listens() -> bool:
    """Whether stderr is the stream systemd connected; the variable alone is inherited (systemd.exec(5))."""
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError):  # closed, or no file at all
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


def configure(level: int = logging.INFO) -> None:
    """Send all loggers to stderr; the field libraries speak up from WARNING only."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter(_journald_listens()))
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in ("pymodbus", "asyncua", "aiomqtt", "paho", "asyncio"):
        logging.getLogger(name).setLevel(logging.WARNING)
