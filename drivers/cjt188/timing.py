"""What asking a CJ/T 188 meter puts on the line. Pure."""

from collections.abc import Sequence

from drivers.cjt188.profile import Cjt188Profile
from drivers.settings import Cjt188Bus, DeviceSetting
from drivers.timing import Exchange

SILENCE_S = 0.03  # between an answer and the next request; the standard names none

_WAKE = 4  # FE before an answer: none to thirteen were seen
_REQUEST = 16  # 68, type, 7 of address, control, length, identifier, serial number, checksum, 16
_ANSWER = 59  # the same around 46 bytes: identifier, serial number and 43 of values (data 901F)


def exchanges(bus: Cjt188Bus, setting: DeviceSetting) -> Sequence[Exchange]:
    """One request for the present values, which serves all points."""
    options = setting.expect(Cjt188Profile).cjt188
    return [Exchange(options.wake + _REQUEST, _WAKE + _ANSWER, options.turnaround_s, SILENCE_S)]
