"""From a site to what the service runs with: points, profiles and the settings of the drivers.

Pure but for reading profile files. What is wrong is a Problem; nothing is opened or touched.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

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
    load_profile,
)
from edge import site as models
from edge.points import quantity
from edge.resources import config_dir
from edge.site import Device, Site


@dataclass(frozen=True, slots=True)
class Fitted:
    """A device of the site with its profile and its points, those to read and those to write."""

    setting: Device
    profile: Profile
    inputs: tuple[Point, ...]
    outputs: tuple[Point, ...]


def profile_path(name: str, site_folder: Path) -> Path:
    """A profile beside the site file (`profiles/<name>.toml`) wins over the one that ships with us."""
    own = site_folder / "profiles" / f"{name}.toml"
    return own if own.is_file() else config_dir() / "profiles" / f"{name}.toml"


def fit(device: Device, profile: Profile) -> Fitted:
    """Points of a device in the units of the trade; the caller has checked that every name is known."""
    inputs: list[Point] = []
    outputs: list[Point] = []
    for name, register in device.points.items():
        known = quantity(name)
        if known is None:
            raise ConfigurationError(f"{name}: no such point")
        point = Point(name, device.id, register, known.unit)
        (outputs if known.output else inputs).append(point)
    return Fitted(device, profile, tuple(inputs), tuple(outputs))


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


_BUSES: dict[type[object], Callable[..., Bus]] = {
    models.SerialBus: lambda b: ModbusRtuBus(b.port, b.baud, b.parity, b.stop_bits, b.timeout_s),
    models.TcpBus: _tcp,
    models.MeterLine: _meters,
    models.OpcUaServer: lambda b: OpcUaBus(b.url, b.sampling_ms, b.timeout_s, b.insecure),
}


def bus_setting(bus: models.Bus) -> Bus:
    """What the driver of a bus is told."""
    return _BUSES[type(bus)](bus)


def device_setting(fitted: Fitted) -> DeviceSetting:
    """What the driver is told of a device."""
    device = fitted.setting
    return DeviceSetting(device.id, fitted.profile, device.unit_id, device.address)


def age_limits(site: Site, speed: float) -> dict[str, float]:
    """Age in s (of the service's clock) at which each input is stale.

    Three periods, and two of the bus's time limits; those are real seconds, made the clock's by `speed`.
    """
    timeouts = {bus.id: bus.timeout_s for bus in site.buses}
    limits: dict[str, float] = {}
    for device in site.devices:
        limit = 3.0 * device.period_s + 2.0 * timeouts[device.bus] * speed
        limits |= {name: limit for name in device.points if not _is_output(name)}
    return limits


def _is_output(name: str) -> bool:
    known = quantity(name)
    return known is not None and known.output
