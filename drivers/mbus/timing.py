"""What one conversation with an M-Bus meter puts on the line. Pure."""

from collections.abc import Sequence

from drivers.mbus.profile import MBusProfile
from drivers.settings import DeviceSetting, MBusBus, SerialPort
from drivers.timing import Exchange

_SHORT, _ACK, _SELECT = 5, 1, 17  # bytes (EN 13757-2, 5.2; EN 13757-3, 12.3)
_TELEGRAM = 150  # what heat meters usually answer; 261 at most
_IDLE_BITS = 33  # between an answer and the next request (EN 13757-2, 5.7)


def exchanges(bus: MBusBus, setting: DeviceSetting) -> Sequence[Exchange]:
    """Reset or selection with its acknowledgement, then one telegram, which serves all points."""
    options = setting.expect(MBusProfile).mbus
    assert isinstance(bus.endpoint, SerialPort)
    idle_s = _IDLE_BITS / bus.endpoint.baud
    turnaround_s = options.turnaround_s
    found = [Exchange(_SHORT, _TELEGRAM, turnaround_s, idle_s)]
    if options.reset:
        found.insert(0, Exchange(_SHORT, _ACK, turnaround_s, idle_s))
    if setting.address is not None and len(setting.address) >= 8:
        found.insert(0, Exchange(_SELECT, _ACK, turnaround_s, idle_s))
    return found
