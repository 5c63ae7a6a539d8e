"""What reading or writing points of a Modbus device puts on a serial line. Pure."""

from collections.abc import Sequence

from drivers.driver import Point
from drivers.modbus.line import silence_s
from drivers.modbus.plans import ServedDevice
from drivers.modbus.profile import ModbusProfile
from drivers.settings import DeviceSetting, ModbusRtuBus
from drivers.timing import Exchange

_ENVELOPE = 4  # unit, function and checksum
_REQUEST = 8  # a read, a write of one register or coil and its answer
_WRITE_MANY = 9  # function 16 without its data


def exchanges(
    bus: ModbusRtuBus, setting: DeviceSetting, points: Sequence[Point], written: Point | None
) -> Sequence[Exchange]:
    """The requests the driver would make: blocks as it plans them, and one for a point that is written."""
    profile = setting.expect(ModbusProfile)
    turnaround_s = profile.modbus.turnaround_s
    silence = max(silence_s(bus.endpoint), profile.modbus.gap_s)
    device = ServedDevice(setting.id, setting.unit_id or 0, profile, profile.modbus.merge_holes)
    jobs = device.jobs_for(tuple(points)) if points else ()
    found = [Exchange(_REQUEST, _ENVELOPE + j.request.length, turnaround_s, silence) for j in jobs]
    if written is not None:
        register = profile.registers[written.register]
        many = register.write is not None and register.write.function == 16
        sent = _WRITE_MANY + 2 * register.width if many else _REQUEST
        found.append(Exchange(sent, _REQUEST, turnaround_s, silence))
    return found
