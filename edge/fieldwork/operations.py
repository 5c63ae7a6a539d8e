"""The verbs: from a request to a stream of messages that always ends in `done` or `error`."""

import logging
from collections.abc import Callable
from contextlib import aclosing

from drivers import (
    ClosedError,
    ConfigurationError,
    DeviceError,
    DriverError,
    NoAnswerError,
    ProtocolError,
    UntrustedError,
)
from edge.fieldwork.access import Access
from edge.fieldwork.browsing import browse
from edge.fieldwork.messages import Asked, FieldworkError, Request, Stream
from edge.fieldwork.monitoring import monitor
from edge.fieldwork.probing import probe
from edge.fieldwork.reading import read
from edge.fieldwork.requesting import alarm, outage, plan
from edge.fieldwork.scanning import scan
from edge.fieldwork.writing import release, write

log = logging.getLogger(__name__)

VERBS: dict[str, Callable[[Access, Asked, str], Stream]] = {
    "read": read,
    "write": write,
    "release": release,
    "scan": scan,
    "monitor": monitor,
    "probe": probe,
    "browse": browse,
    "alarm": alarm,
    "outage": outage,
    "plan": plan,
}

_CODES: tuple[tuple[type[DriverError], str], ...] = (
    (NoAnswerError, "no_answer"),
    (ClosedError, "closed"),
    (ConfigurationError, "configuration"),
    (DeviceError, "refused"),
    (ProtocolError, "protocol"),
    (DriverError, "driver"),
)


async def perform(access: Access, request: Request, who: str) -> Stream:
    """Do what is asked; closing the stream ends it at the next exchange. `who` goes into the journal."""
    try:
        asked = Asked(request)
        verb = VERBS.get(asked.text("verb"))
        if verb is None:
            raise FieldworkError("unknown_verb", name=asked.text("verb")[:40], known=", ".join(VERBS))
        async with aclosing(verb(access, asked, who)) as stream:
            async for message in stream:
                yield message
    except FieldworkError as error:
        yield error.message()
    except DriverError as error:
        yield as_fieldwork(error).message()
    except TimeoutError:
        yield FieldworkError("timeout").message()
    else:
        yield {"kind": "done"}


def as_fieldwork(error: DriverError) -> FieldworkError:
    """What a fault of the field is to a technician."""
    if isinstance(error, UntrustedError):
        return FieldworkError("untrusted", name=error.name, sha256=error.thumbprint)
    code = next(code for kind, code in _CODES if isinstance(error, kind))
    return FieldworkError(code, why=str(error))
