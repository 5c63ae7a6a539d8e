"""Everything a site must satisfy beyond its own file: profiles, addresses, points, the regulation in force.

`load` gives what the service runs with, or SiteError with every Problem found. Opens no port.
"""

import difflib
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from drivers import BusAddress, ConfigurationError, DeviceSetting, Profile, bus_address, convert, overlaps
from edge import opcua_check
from edge.assembly import Fitted, fit, load_profiles
from edge.budget import LIMIT, Budget, budgets
from edge.loading import Problem, SiteError, read_site
from edge.points import CIRCUIT, MADE, STATION, quantity
from edge.rules.model import Pack, required_parameters
from edge.rules.pack import load_pack
from edge.rules.problems import PackError
from edge.site import Device, OpcUaServer, Site

FLOOR_LIMIT_C = 60.0  # JGJ 142 (older text): floor heating never above 60 degC
REQUIRED = (  # what control cannot do without, per circuit
    "secondary_supply_temperature",
    "secondary_return_pressure",
    "valve_position",
    "valve_setpoint",
    "pump_1.run",
    "pump_1.speed_setpoint",
    "makeup_pump.run",
)
ADDRESS = {"modbus": "unit_id", "mbus": "address", "cjt188": "address"}  # by protocol of the bus
SEASON = ("season_start", "season_end")


WORST = 3  # users of an overfull line that are named


@dataclass(frozen=True, slots=True)
class Loaded:
    """A site that passed every check, with its profiles fitted and its regulation pack."""

    site: Site
    devices: tuple[Fitted, ...]
    pack: Pack


@dataclass(frozen=True, slots=True)
class _Context:
    file: str
    site: Site
    profiles: Mapping[str, Profile | ConfigurationError]
    today: date | None

    def problem(self, key: str, code: str, **values: object) -> Problem:
        return Problem(self.file, key, code, {name: str(value) for name, value in values.items()})


def load(path: Path, today: date | None, beside: Path | None = None) -> Loaded:
    """The site at `path`; SiteError with every Problem when it cannot be used.

    With `today` the regulation must be in force on that day, the head-end's files must be there, and no
    serial line may be asked for more time than it has. The running service gives None: neither a clock that
    was never set, nor a document that has ended, nor a certificate that is being renewed, nor a line that is
    too full may stop a plant. `beside` is the folder of the site's own profiles, by default that of the file.
    """
    site = read_site(path)
    profiles = load_profiles(
        (device.profile for device in site.devices), path.parent if beside is None else beside
    )
    context = _Context(str(path), site, profiles, today)
    problems = [problem for check in CHECKS for problem in check(context)]
    if problems:
        raise SiteError(problems)
    fitted = tuple(fit(device, _profile(profiles, device)) for device in site.devices)
    overfull = [problem for budget in budgets(site, fitted) for problem in _overfull(context, budget)]
    if overfull and today is not None:
        raise SiteError(overfull)
    return Loaded(site, fitted, load_pack(site.regulation.pack).bind(bound(site)))


def _profile(profiles: Mapping[str, Profile | ConfigurationError], device: Device) -> Profile:
    found = profiles[device.profile]
    if isinstance(found, ConfigurationError):
        raise found
    return found


def _overfull(c: _Context, budget: Budget) -> Iterator[Problem]:
    """A line that is asked for more than it can carry; it would run all the same, later than it should."""
    if budget.share <= LIMIT:
        return
    worst = ", ".join(
        f"{use.device} ({', '.join(use.points[:2])}{' ...' if len(use.points) > 2 else ''}): "
        f"{use.seconds * 1000:.0f} ms / {use.period_s:g} s"
        for use in budget.uses[:WORST]
    )
    values = {"share": f"{budget.share:.0%}", "limit": f"{LIMIT:.0%}", "worst": worst}
    yield c.problem(f"buses[{budget.bus}]", "overfull", **values)


def _doubles(values: Sequence[str]) -> list[str]:
    return [value for value, count in Counter(values).items() if count > 1]


def _unique_ids(c: _Context) -> Iterator[Problem]:
    groups: dict[str, list[str]] = {
        "circuits": [each.id for each in c.site.circuits],
        "rooms": [each.id for each in c.site.rooms],
        "buses": [each.id for each in c.site.buses],
        "devices": [each.id for each in c.site.devices],
    }
    for group, ids in groups.items():
        for double in _doubles(ids):
            yield c.problem(f"{group}[{double}].id", "duplicate_id", id=double)


def _references(c: _Context) -> Iterator[Problem]:
    buses = {bus.id for bus in c.site.buses}
    circuits = {circuit.id for circuit in c.site.circuits}
    for device in c.site.devices:
        if device.bus not in buses:
            known = ", ".join(sorted(buses))
            yield c.problem(f"devices[{device.id}].bus", "unknown_bus", given=device.bus, known=known)
    for room in c.site.rooms:
        if room.circuit not in circuits:
            known = ", ".join(sorted(circuits))
            yield c.problem(f"rooms[{room.id}].circuit", "unknown_circuit", given=room.circuit, known=known)


def _profiles(c: _Context) -> Iterator[Problem]:
    buses = {bus.id: bus for bus in c.site.buses}
    for device in c.site.devices:
        key = f"devices[{device.id}].profile"
        found = c.profiles[device.profile]
        if isinstance(found, ConfigurationError):
            yield c.problem(key, "profile", given=device.profile, why=found)
        elif device.bus in buses and found.profile.protocol != buses[device.bus].protocol:
            kind = buses[device.bus].kind
            yield c.problem(key, "protocol", given=found.profile.protocol, bus=device.bus, kind=kind)


def _addresses(c: _Context) -> Iterator[Problem]:
    wanted = {bus.id: ADDRESS.get(bus.protocol) for bus in c.site.buses}
    taken: dict[str, list[tuple[BusAddress, str]]] = {}
    for device in c.site.devices:
        name = wanted.get(device.bus)
        key = f"devices[{device.id}].{name}"
        given = None if name is None else getattr(device, name)
        if name is not None and given is None:
            yield c.problem(key, "no_address")
        elif given is not None:
            try:
                address = _bus_address(c, device)
            except ValueError as error:
                yield c.problem(key, "address", given=given, why=error)
                continue
            others = taken.setdefault(device.bus, [])
            first = next((other for known, other in others if overlaps(known, address)), None)
            if first is not None:
                yield c.problem(key, "duplicate_address", given=given, bus=device.bus, other=first)
            others.append((address, device.id))


def _bus_address(c: _Context, device: Device) -> BusAddress:
    """By the profile, which knows how addresses are written; one that cannot be used is told elsewhere."""
    profile = c.profiles[device.profile]
    if isinstance(profile, ConfigurationError):
        return device.unit_id
    return bus_address(DeviceSetting(device.id, profile, device.unit_id, device.address))


def _ports(c: _Context) -> Iterator[Problem]:
    places = {bus.id: bus.place for bus in c.site.buses}
    for double in _doubles(list(places.values())):
        names = [name for name, place in places.items() if place == double]
        yield c.problem(f"buses[{names[1]}]", "duplicate_port", given=double, other=names[0])


def _point_names(c: _Context) -> Iterator[Problem]:
    heads = {circuit.id for circuit in c.site.circuits} | {"station"}
    rooms = {room.id for room in c.site.rooms}
    for device in c.site.devices:
        for name in device.points:
            key = f"devices[{device.id}].points.{name}"
            head, _, rest = name.partition(".")
            if quantity(name) is None:
                near = difflib.get_close_matches(rest, [*CIRCUIT, *STATION], n=3)
                yield c.problem(key, "unknown_point", given=name, near=", ".join(near) or "-")
            elif head == "room" and rest.partition(".")[0] not in rooms:
                yield c.problem(key, "unknown_room", given=rest.partition(".")[0])
            elif head != "room" and head not in heads:
                yield c.problem(key, "unknown_circuit", given=head, known=", ".join(sorted(heads)))


def _dead_bands(c: _Context) -> Iterator[Problem]:
    known = c.site.points() | {f"{circuit.id}.{made}" for circuit in c.site.circuits for made in MADE}
    for name in c.site.recording.dead_bands:
        if name not in known:
            near = ", ".join(difflib.get_close_matches(name, known, n=3)) or "-"
            yield c.problem(f"recording.dead_bands.{name}", "unknown_point", given=name, near=near)


def _registers(c: _Context) -> Iterator[Problem]:
    for device in c.site.devices:
        profile = c.profiles[device.profile]
        if isinstance(profile, ConfigurationError):
            continue
        for name, register_name in device.points.items():
            yield from _register(c, device, profile, name, register_name)


def _register(
    c: _Context, device: Device, profile: Profile, name: str, register_name: str
) -> Iterator[Problem]:
    key = f"devices[{device.id}].points.{name}"
    known = quantity(name)
    register = profile.registers.get(register_name)
    if register is None:
        names = ", ".join(sorted(profile.registers))
        yield c.problem(key, "unknown_register", given=register_name, profile=device.profile, known=names)
    elif known is not None:
        if known.output and register.write is None:
            yield c.problem(key, "not_writable", given=register_name, profile=device.profile)
        try:
            convert(0.0, register.unit, known.unit)
        except ValueError:
            yield c.problem(key, "unit", given=register.unit.value, wanted=known.unit.value)


def _one_source_per_point(c: _Context) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for device in c.site.devices:
        for name in device.points:
            first = owners.setdefault(name, device.id)
            if first != device.id:
                known = quantity(name)
                code = "two_writers" if known is not None and known.output else "two_sources"
                yield c.problem(f"devices[{device.id}].points.{name}", code, given=name, other=first)


def _required_points(c: _Context) -> Iterator[Problem]:
    mapped = c.site.points()
    wanted = [f"{circuit.id}.{name}" for circuit in c.site.circuits for name in REQUIRED]
    wanted += ["station.outdoor_temperature"]
    wanted += [f"room.{room.id}.temperature" for room in c.site.rooms]
    for name in wanted:
        if name not in mapped:
            yield c.problem("devices[].points", "unmapped", given=name)


def _limits(c: _Context) -> Iterator[Problem]:
    for circuit in c.site.circuits:
        key = f"circuits[{circuit.id}]"
        curve, valve = circuit.curve, circuit.valve
        if circuit.emitter == "floor" and curve.maximum_c > FLOOR_LIMIT_C:
            yield c.problem(
                f"{key}.curve.maximum_c", "floor_too_hot", given=curve.maximum_c, limit=FLOOR_LIMIT_C
            )
        if valve.safe != "hold" and not valve.minimum_percent <= valve.safe <= valve.maximum_percent:
            yield c.problem(f"{key}.valve.safe", "safe_outside", given=valve.safe)
        if circuit.pressurisation.setpoint_bar <= circuit.circulation.minimum_return_bar:
            yield c.problem(f"{key}.pressurisation.setpoint_bar", "pressure_order")


def _regulation(c: _Context) -> Iterator[Problem]:
    regulation = c.site.regulation
    try:
        pack = load_pack(regulation.pack)
    except PackError as error:
        yield c.problem("regulation.pack", "pack", given=regulation.pack, why=error)
        return
    if c.today is not None and not pack.in_force(c.today):
        document, validity = pack.document, pack.validity
        yield c.problem(
            "regulation.pack",
            "pack_not_in_force",
            title=document.title,
            number=document.number,
            begin=validity.begin,
            end=validity.to,
            today=c.today,
        )
    yield from _parameters(c, pack)


def _parameters(c: _Context, pack: Pack) -> Iterator[Problem]:
    given = bound(c.site)
    known = {parameter.name for parameter in pack.parameters}
    for parameter in required_parameters(pack):
        if parameter.name not in given:
            code = "season_missing" if parameter.name in SEASON else "parameter_missing"
            yield c.problem(_parameter_key(parameter.name), code, pack=pack.id)
    for name in sorted(set(given) - known):
        code = "season_in_text" if name in SEASON else "parameter_unknown"
        yield c.problem(_parameter_key(name), code, pack=pack.id)
    try:
        pack.bind({name: value for name, value in given.items() if name in known})
    except PackError as error:
        for fault in error.problems:
            yield c.problem(_parameter_key(fault.key), "invalid", given=fault.key, why=fault.reason)


def _parameter_key(name: str) -> str:
    return f"regulation.{name}" if name in SEASON else f"regulation.parameters.{name}"


def bound(site: Site) -> dict[str, float | str | bool]:
    """What the site tells its pack: the parameters, and the season where the text names none."""
    regulation = site.regulation
    season = {"season_start": regulation.season_start, "season_end": regulation.season_end}
    return {**regulation.parameters, **{name: str(day) for name, day in season.items() if day is not None}}


def _security(c: _Context) -> Iterator[Problem]:
    for bus in c.site.buses:
        if isinstance(bus, OpcUaServer):
            for fault in opcua_check.faults(bus, files=c.today is not None):
                yield c.problem(f"buses[{bus.id}].{fault.key}", fault.code, **fault.values)
    upstream = c.site.upstream
    if upstream is None:
        return
    if upstream.ca_file is None and not upstream.insecure:
        yield c.problem("upstream.ca_file", "upstream_insecure")
    for name in ("ca_file", "password_file"):
        path = getattr(upstream, name)
        if c.today is not None and path is not None and not Path(path).is_file():
            yield c.problem(f"upstream.{name}", "no_such_file", given=path)


CHECKS: tuple[Callable[[_Context], Iterator[Problem]], ...] = (
    _unique_ids,
    _references,
    _profiles,
    _addresses,
    _ports,
    _point_names,
    _dead_bands,
    _registers,
    _one_source_per_point,
    _required_points,
    _limits,
    _regulation,
    _security,
)
