"""From a site to what the service runs with: points, profiles and the settings of the drivers.

Pure but for reading profile files. What is wrong is a Problem; nothing is opened or touched.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from drivers import (
    Bus,
    Cjt188Bus,
    ConfigurationError,
    DeviceSetting,
    MBusBus,
    ModbusRtuBus,
    ModbusTcpBus,
    OpcUaBus,
    Point,
    Profile,
    SerialPort,
    TcpHost,
    Tls,
    Unit,
    convert,
    load_profile,
)
from edge import site as models
from edge.acquisition import Guard, Input, Output, PolledDevice
from edge.points import quantity
from edge.resources import config_dir
from edge.site import Device, Site


class _Rules(Protocol):
    """How a register may be written, in the words of every profile."""

    @property
    def interval_s(self) -> float: ...
    @property
    def per_day(self) -> int | None: ...
    @property
    def read_back(self) -> bool: ...


class _Facts(Protocol):
    """What registers of all protocols have."""

    @property
    def unit(self) -> Unit: ...
    @property
    def write(self) -> _Rules | None: ...


@dataclass(frozen=True, slots=True)
class Fitted:
    """A device of the site with its profile and its points, those to read and those to write.

    `probe` is the input that costs least to ask for, None where there is none; `guards` are its fail-safe
    registers.
    """

    setting: Device
    profile: Profile
    inputs: tuple[Input, ...]
    outputs: tuple[Output, ...]
    probe: Point | None
    guards: tuple[Guard, ...]


def profile_path(name: str, site_folder: Path) -> Path:
    """A profile beside the site file (`profiles/<name>.toml`) wins over the one that ships with us."""
    own = site_folder / "profiles" / f"{name}.toml"
    return own if own.is_file() else config_dir() / "profiles" / f"{name}.toml"


def fit(device: Device, profile: Profile) -> Fitted:
    """Points of a device in the units of the trade; the caller has checked that every name is known."""
    inputs: list[Input] = []
    outputs: list[Output] = []
    for name, register in device.points.items():
        known = quantity(name)
        if known is None:
            raise ConfigurationError(f"{name}: no such point")
        point, facts = Point(name, device.id, register, known.unit), profile.registers[register]
        if known.output:
            outputs.append(_output(point, facts))
        else:
            # asked more often than the device renews it, it shows nothing new and costs its battery
            inputs.append(Input(point, max(device.period_of(name), facts.refresh_s or 0.0), known.slow))
    points = [each.point for each in inputs]
    probe = min(points, key=lambda point: _width(profile.registers[point.register]), default=None)
    return Fitted(device, profile, tuple(inputs), tuple(outputs), probe, tuple(_guards(device, profile)))


def _output(point: Point, facts: _Facts) -> Output:
    rules = facts.write
    if rules is None:
        raise ConfigurationError(f"{point.name}: {point.register} cannot be written")
    return Output(point, rules.interval_s, rules.per_day, rules.read_back, _resolution(facts, point.unit))


def _resolution(facts: _Facts, unit: Unit) -> float:
    """The step of a register in `unit`; half a state tells states apart, what has no scale is exact."""
    if unit is Unit.STATE:
        return 0.5
    step = 0.0 if getattr(facts, "type", "") in _FLOATS else abs(float(getattr(facts, "scale", 0.0)))
    return convert(step, facts.unit, unit)


_FLOATS = frozenset({"f32", "Float", "Double"})


def _width(facts: _Facts) -> int:
    """16-bit registers on the wire, where the protocol has such."""
    return int(getattr(facts, "width", 1))


def _guards(device: Device, profile: Profile) -> Iterator[Guard]:
    for rule in profile.fail_safe:
        name = rule.register_
        yield Guard(Point(f"{device.id}.{name}", device.id, name, profile.registers[name].unit), rule)


def load_profiles(names: Iterable[str], site_folder: Path) -> Mapping[str, Profile | ConfigurationError]:
    """Each profile by name, or why it cannot be used."""
    found: dict[str, Profile | ConfigurationError] = {}
    for name in sorted(set(names)):
        try:
            found[name] = load_profile(profile_path(name, site_folder))
        except ConfigurationError as error:
            found[name] = error
    return found


def _tcp(bus: models.TcpBus) -> ModbusTcpBus:
    framing: Literal["tcp", "rtu"] = "tcp" if bus.kind == "modbus-tcp" else "rtu"
    return ModbusTcpBus(
        bus.host, bus.port, bus.timeout_s, framing, None if bus.tls is None else _tls(bus.tls)
    )


def _tls(files: models.TlsFiles) -> Tls:
    def path(name: str | None) -> Path | None:
        return None if name is None else Path(name)

    return Tls(Path(files.ca_file), path(files.certificate_file), path(files.key_file), files.server_name)


def _meters(bus: models.MeterLine) -> MBusBus | Cjt188Bus:
    kind = MBusBus if bus.kind == "mbus" else Cjt188Bus
    if bus.host is not None and bus.port is not None:
        return kind(TcpHost(bus.host, bus.port), bus.timeout_s)
    assert bus.tty is not None
    return kind(SerialPort(bus.tty, bus.baud, bus.parity), bus.timeout_s)


def _opcua(bus: models.OpcUaServer) -> OpcUaBus:
    return OpcUaBus(
        url=bus.url,
        sampling_ms=bus.sampling_ms,
        timeout_s=bus.timeout_s,
        insecure=bus.insecure,
        policy=bus.policy,
        security=bus.security,
        pki=None if bus.pki is None else Path(bus.pki),
        application_uri=bus.application_uri,
        accept_expired=bus.accept_expired,
        user=bus.user,
        password_file=None if bus.password_file is None else Path(bus.password_file),
    )


_BUSES: dict[type[object], Callable[..., Bus]] = {
    models.SerialBus: lambda b: ModbusRtuBus(b.port, b.baud, b.parity, b.stop_bits, b.timeout_s),
    models.TcpBus: _tcp,
    models.MeterLine: _meters,
    models.OpcUaServer: _opcua,
}


def bus_setting(bus: models.Bus) -> Bus:
    """What the driver of a bus is told."""
    return _BUSES[type(bus)](bus)


def device_setting(fitted: Fitted) -> DeviceSetting:
    """What the driver is told of a device."""
    device = fitted.setting
    return DeviceSetting(device.id, fitted.profile, device.unit_id, device.address)


SPREAD, SPREAD_LIMIT_S = 0.5, 10.0


def polled(fitted: Iterable[Fitted], now: float, place: float = 0.0) -> list[PolledDevice]:
    """The devices of one bus with inputs, their first reads spread from `now` (monotonic s) on.

    Over half a period at most: the other half stays free for probes, writes and errands. `place` (0 to 1)
    shifts the whole bus against others.
    """
    read = [each for each in fitted if each.inputs]
    found = []
    for number, each in enumerate(read):
        period_s = min(*(i.period_s for i in each.inputs), SPREAD_LIMIT_S / SPREAD)
        due = now + SPREAD * period_s * ((number + place) / len(read))
        found.append(PolledDevice.of(each.setting.id, each.inputs, due, each.probe, each.guards))
    return found


def age_limits(devices: Iterable[Fitted], site: Site, speed: float) -> dict[str, float]:
    """Age in s (of the service's clock) at which each input is stale.

    Three of its own periods, and two of the bus's time limits; those are real seconds, made the clock's by
    `speed`.
    """
    timeouts = {bus.id: bus.timeout_s for bus in site.buses}
    return {
        each.point.name: 3.0 * each.period_s + 2.0 * timeouts[device.setting.bus] * speed
        for device in devices
        for each in device.inputs
    }


STUCK_READINGS = 5  # so many equal readings at least: fewer show nothing, however long their period


def stuck_limits(devices: Iterable[Fitted]) -> dict[str, float]:
    """How long (s of the service's clock) the value of an input may stay the same, where the site says so."""
    return {
        each.point.name: max(stuck_s, STUCK_READINGS * each.period_s)
        for device in devices
        for each in device.inputs
        if (stuck_s := device.setting.mapping[each.point.name].stuck_s) is not None
    }
