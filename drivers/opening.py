"""From a bus's settings to the driver that serves it."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from drivers.driver import Driver
from drivers.errors import ConfigurationError
from drivers.memory import MemoryDriver
from drivers.profile import MemoryProfile, ModbusProfile, OpcUaProfile
from drivers.settings import Bus, DeviceSetting, MemoryBus, OpcUaBus

_P = TypeVar("_P", ModbusProfile, OpcUaProfile, MemoryProfile)


def open_driver(bus: Bus, devices: Sequence[DeviceSetting], now: Callable[[], float]) -> Driver:
    """The driver of `bus` with its `devices`; `now` gives Unix seconds for readings without a source time.

    Nothing is connected before the driver is entered. ConfigurationError when bus and devices do not fit.
    The libraries of a protocol are loaded only when a bus needs them: OPC UA alone costs 40 MB.
    """
    _refuse_doubles(devices)
    if isinstance(bus, MemoryBus):
        return MemoryDriver({d.id: _expect(d, MemoryProfile) for d in devices}, now)
    if isinstance(bus, OpcUaBus):
        from drivers.opcua import OpcUaDriver  # noqa: PLC0415 (40 MB and 0.3 s, only where it is used)

        return OpcUaDriver(bus, {d.id: _expect(d, OpcUaProfile) for d in devices}, now)
    from drivers.modbus import ModbusDriver  # noqa: PLC0415 (14 MB, only where it is used)

    return ModbusDriver(bus, {d.id: (d.unit_id, _expect(d, ModbusProfile)) for d in devices}, now)


def _refuse_doubles(devices: Sequence[DeviceSetting]) -> None:
    for field in ("id", "unit_id"):
        values = [v for d in devices if (v := getattr(d, field)) is not None]
        doubles = sorted({str(v) for v in values if values.count(v) > 1})
        if doubles:
            raise ConfigurationError(
                f"{field} {', '.join(doubles)} is given to two devices of one bus: change one"
            )


def _expect(device: DeviceSetting, wanted: type[_P]) -> _P:
    if not isinstance(device.profile, wanted):
        protocol = device.profile.profile.protocol
        raise ConfigurationError(
            f"device {device.id}: its profile speaks {protocol}, the bus does not: "
            "choose another profile or move it to another bus"
        )
    return device.profile
