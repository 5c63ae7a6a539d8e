"""What asyncua raises, as errors of the drivers: in one place, with what a person can do about it."""

from collections.abc import Iterator
from contextlib import contextmanager

from asyncua import ua
from asyncua.common.utils import ServiceError
from asyncua.ua.status_codes import StatusCodes
from asyncua.ua.uaerrors import UaStatusCodeError

from drivers.errors import ClosedError, DeviceError, DriverError, NoAnswerError, RemoteProtocolError

DISTRUST = frozenset(
    {
        StatusCodes.BadCertificateUntrusted,
        StatusCodes.BadCertificateInvalid,
        StatusCodes.BadCertificateChainIncomplete,
        StatusCodes.BadSecurityChecksFailed,
    }
)
"""How servers say that they do not trust our certificate (OPC 10000-4, 6.1.3)."""

_LOGIN = "the server refuses the user or the password: compare user and password_file with the server's"
_HINTS: dict[int, str] = {
    StatusCodes.BadIdentityTokenRejected: _LOGIN,
    StatusCodes.BadIdentityTokenInvalid: _LOGIN,
    StatusCodes.BadUserAccessDenied: "the user is refused, or may not do this: see the rights on the server",
    StatusCodes.BadCertificateUriInvalid: "the server finds another application URI in our certificate",
    StatusCodes.BadCertificateTimeInvalid: "for the server our certificate is not valid now: compare clocks",
    StatusCodes.BadTooManySessions: "others use all sessions of the server: close some, or raise its limit",
    StatusCodes.BadTypeMismatch: "the variable has another type than the profile: correct the profile's type",
    StatusCodes.BadNotWritable: "the server offers this variable for reading only",
    StatusCodes.BadNodeIdUnknown: "the server has no such variable: correct identifier or namespace",
    StatusCodes.BadNodeIdInvalid: "the server has no such node: correct it",
    StatusCodes.BadOutOfRange: "the server's own limits for this variable are narrower than the profile's",
}


def status_name(code: int) -> str:
    """The standard's name of a status code, such as BadSensorFailure."""
    return str(ua.StatusCode(ua.UInt32(code)).name)


@contextmanager
def translated(place: str) -> Iterator[None]:
    """Turn whatever asyncua raises into a DriverError that names `place`."""
    try:
        yield
    except DriverError:
        raise
    except (UaStatusCodeError, ServiceError) as error:
        code = int(error.code or 0)
        words = [f"{place}: {status_name(code)}", _HINTS.get(code)]
        raise DeviceError(": ".join(filter(None, words)), code) from error
    except TimeoutError as error:
        raise NoAnswerError(f"{place}: no answer in time") from error
    except OSError as error:
        raise ClosedError(f"{place}: {error}") from error
    except Exception as error:  # a hostile answer can break asyncua's parser in any way
        raise RemoteProtocolError(f"{place}: {type(error).__name__}: {error}") from error
