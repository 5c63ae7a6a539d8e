"""What one conversation with an M-Bus meter puts on the line. Pure."""

from collections.abc import Sequence

from drivers.mbus.address import Secondary, parse
from drivers.mbus.profile import MBusOptions, MBusProfile
from drivers.settings import DeviceSetting, MBusBus, SerialPort
from drivers.timing import Exchange

IDLE_BITS = 33  # between an answer and the next request (EN 13757-2)

_SHORT, _ACK, _SELECT = 5, 1, 17  # bytes (EN 13757-2, frame formats)
_AROUND = (
    8  # bytes of a SND_UD around what a page has behind CI: two starts, two lengths, C, A, checksum, stop
)


def exchanges(bus: MBusBus, setting: DeviceSetting) -> Sequence[Exchange]:
    """Beginning, every page with its answer, and the end: what one reading is, whatever the points."""
    options = setting.expect(MBusProfile).mbus
    assert isinstance(bus.endpoint, SerialPort)
    idle_s = IDLE_BITS / bus.endpoint.baud
    lengths = _lengths(options, setting.address is not None and isinstance(parse(setting.address), Secondary))
    return [Exchange(sent, received, options.turnaround_s, idle_s) for sent, received in lengths]


def _lengths(options: MBusOptions, secondary: bool) -> Sequence[tuple[int, int]]:
    """Bytes sent and received, in the order of the driver."""
    acknowledged = (_SHORT, _ACK)
    begin = [(_SELECT, _ACK)] if secondary else [acknowledged] * options.reset
    pages = [(_AROUND + len(bytes.fromhex(page)), _ACK) for page in options.pages]
    asked = [(_SHORT, options.answer_bytes)] * max(1, len(pages))
    return [*begin, *pages, *asked, *([acknowledged] * secondary)]
