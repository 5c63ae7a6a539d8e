"""Devices that exist for one exchange: made-to-measure profiles, adopted, read and dismissed at once."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from drivers import DeviceSetting, Driver, ModbusProfile, Point, Profile, Reading, Unit, parse_profile
from edge.fieldwork.access import Access

_numbers = count(1)


_HEADER = {
    "id": "temporary",
    "maker": "-",
    "model": "-",
    "source": "a technician's question",
    "confidence": "own",
}


def _profile(protocol: str, options: Mapping[str, Any], registers: Mapping[str, Any]) -> Profile:
    header = {**_HEADER, "protocol": protocol}
    return parse_profile(
        {"profile": header, protocol: dict(options), "registers": dict(registers)}, "temporary"
    )


def modbus_profile(registers: Mapping[str, Mapping[str, Any]], **options: object) -> ModbusProfile:
    """A profile of these registers; ConfigurationError where they cannot be."""
    found = _profile("modbus", options, registers)
    assert isinstance(found, ModbusProfile)
    return found


def cjt188_profile(identifier: str, meter_type: int, field: str = "meter_number") -> Profile:
    """A profile that asks a meter for its number, or with another field for its values."""
    options = {"identifier": identifier, "meter_type": meter_type, "retries": 0}
    unit = Unit.STATE if field == "meter_number" else Unit.KILOWATT_HOUR
    return _profile("cjt188", options, {field: {"field": field, "unit": unit.value}})


def word(function: int, address: int) -> dict[str, Any]:
    """One register of 16 bits (or one coil) as it is."""
    kind = "bool" if function in (1, 2) else "u16"
    return {
        "function": function,
        "address": address,
        "documented": str(address),
        "type": kind,
        "unit": Unit.STATE.value if kind == "bool" else Unit.ONE.value,
    }


def words(function: int, start: int, number: int) -> ModbusProfile:
    """Registers `start` to `start + number - 1`, each by its address, in one request."""
    registers = {f"w{address}": word(function, address) for address in range(start, start + number)}
    return modbus_profile(registers, max_registers=125, merge_holes=0)


def points(device: str, profile: Profile, names: Sequence[str]) -> tuple[Point, ...]:
    """Registers as points of their own names and units."""
    return tuple(Point(name, device, name, profile.registers[name].unit) for name in names)


async def read(
    access: Access, bus: str, profile: Profile, place: int | str | None, names: Sequence[str]
) -> Mapping[str, Reading]:
    """Registers of a device that nobody has put into the site; `place` is its unit or address."""
    device = f"~{next(_numbers)}"
    unit, address = (place, None) if isinstance(place, int) else (None, place)
    setting = DeviceSetting(device, profile, unit, address)
    asked = points(device, profile, names)

    async def job(driver: Driver) -> Mapping[str, Reading]:
        driver.adopt(setting)
        try:
            return await driver.read(asked)
        finally:
            driver.dismiss(device)

    return await access.run(bus, job)


def chunks(profile: Profile, names: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The names in groups that one exchange can read: the bus is free again between two of them."""
    if not isinstance(profile, ModbusProfile):
        yield tuple(names)
        return
    registers, options = profile.registers, profile.modbus
    group: list[str] = []
    start = end = 0
    for name in sorted(names, key=lambda each: (registers[each].function, registers[each].address)):
        register = registers[name]
        behind = register.address + register.width
        joins = (
            group
            and registers[group[-1]].function == register.function
            and register.address - end <= options.merge_holes
            and max(end, behind) - start <= options.max_registers
        )
        if not joins:
            if group:
                yield tuple(group)
            group, start, end = [], register.address, behind
        group.append(name)
        end = max(end, behind)
    if group:
        yield tuple(group)
