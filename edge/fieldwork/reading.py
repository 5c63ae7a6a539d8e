"""`read`: registers of a device of the site, a point, or any register of any unit. One exchange at a time."""

from collections.abc import Mapping, Sequence

from drivers import Driver, ModbusProfile, Reading, Traffic, Verdict
from edge.fieldwork import places, temporary
from edge.fieldwork.access import Access
from edge.fieldwork.messages import Asked, FieldworkError, Message, Stream
from edge.fieldwork.places import Target

TYPES = ("u16", "i16", "u32", "i32", "f32", "u64", "i64", "bcd16", "bcd32", "bool")
ORDERS = ("ABCD", "CDAB", "BADC", "DCBA")


async def read(access: Access, asked: Asked, _who: str) -> Stream:
    """Value messages, one a register."""
    if asked.has("bus"):
        async for message in _any(access, asked):
            yield message
        return
    target = places.target(access, asked.text("target"))
    setting = target.device.setting
    yield {
        "kind": "device",
        "bus": target.bus,
        "device": setting.id,
        "place": setting.unit_id if setting.unit_id is not None else setting.address,
        "profile": setting.profile,
        "longest": max(map(len, target.registers)),
    }
    for names in temporary.chunks(target.device.profile, target.registers):
        for message in await values(access, target, names):
            yield message


async def values(access: Access, target: Target, names: Sequence[str]) -> list[Message]:
    """One exchange: the values of these registers, with the words they were made of."""
    profile, setting = target.device.profile, target.device.setting
    if isinstance(profile, ModbusProfile):
        twin, raw_names = _with_words(profile, names)
        found = await temporary.read(access, target.bus, twin, setting.unit_id, [*names, *raw_names])
        raws = {name: _hex(twin, found, name) for name in names}
    else:
        found, answer = await _direct(access, target, names)
        raws = dict.fromkeys(names, answer)
    return [_value(access, target, name, found[name], raws[name]) for name in names]


def _with_words(profile: ModbusProfile, names: Sequence[str]) -> tuple[ModbusProfile, list[str]]:
    """The profile with each register's words beside it: read in the same request, they show what came."""
    chosen = {name: profile.registers[name] for name in names}
    plain: dict[str, dict[str, object]] = {}
    for register in chosen.values():
        for address in range(register.address, register.address + register.width):
            plain[_word(register.function, address)] = temporary.word(register.function, address)
    raw = temporary.modbus_profile(plain).registers
    return profile.model_copy(update={"registers": {**chosen, **raw}, "fail_safe": ()}), list(raw)


def _word(function: int, address: int) -> str:
    return f"raw {function} {address}"


def _hex(twin: ModbusProfile, found: Mapping[str, Reading], name: str) -> str:
    register = twin.registers[name]
    places_ = range(register.address, register.address + register.width)
    got = [found[_word(register.function, address)].value for address in places_]
    known = [value for value in got if value is not None]
    if len(known) < len(got):
        return ""
    return " ".join(f"{int(value):04X}" if register.type != "bool" else f"{int(value)}" for value in known)


async def _direct(access: Access, target: Target, names: Sequence[str]) -> tuple[Mapping[str, Reading], str]:
    """Readings of the site's own device, and the beginning of the answer on the line."""
    device = target.device.setting.id
    heard: list[bytes] = []

    def tap(traffic: Traffic) -> None:
        heard.append(_answer(traffic, device))

    async def job(driver: Driver) -> Mapping[str, Reading]:
        remove = access.listen(target.bus, tap)
        try:
            return await driver.read(temporary.points(device, target.device.profile, names))
        finally:
            remove()

    found = await access.run(target.bus, job)
    return found, b"".join(heard).hex(" ").upper()


def _answer(traffic: Traffic, device: str) -> bytes:
    return traffic.data if traffic.verdict is Verdict.ANSWER and traffic.device == device else b""


def _value(access: Access, target: Target, name: str, reading: Reading, raw: str) -> Message:
    register = target.device.profile.registers[name]
    point = next((p for p, each in target.device.setting.points.items() if each == name), None)
    return {
        "kind": "value",
        "device": target.device.setting.id,
        "register": name,
        "point": point,
        **plain(access, reading),
        "raw": raw,
        "writable": register.write is not None,
    }


def plain(access: Access, reading: Reading) -> Message:
    """A reading's own part of a message."""
    return {
        "value": reading.value,
        "unit": reading.unit.value,
        "quality": reading.quality.name.lower(),
        "reason": reading.reason.value,
        "age_s": round(max(0.0, access.now() - reading.timestamp), 3),
    }


async def _any(access: Access, asked: Asked) -> Stream:
    """Any registers of any unit of a Modbus bus, whether the site knows it or not."""
    view = places.bus(access, asked.text("bus"))
    unit, function = asked.whole("unit", 0, 255), asked.whole("function", 1, 4, 3)
    address, number = asked.whole("address", 0, 65535), asked.whole("count", 1, 64, 1)
    kind = "bool" if function in (1, 2) else asked.choice("type", TYPES, "u16")
    order = asked.choice("order", ORDERS, "ABCD")
    width = temporary.modbus_profile({"x": temporary.word(function, 0) | {"type": kind}}).registers["x"].width
    if address + width * number > 0x10000:
        raise FieldworkError("bad_argument", name="address", given=str(address))
    registers = {
        str(place): temporary.word(function, place) | {"type": kind, "order": order}
        for place in range(address, address + width * number, width)
    }
    profile = temporary.modbus_profile(registers, merge_holes=0)
    for names in temporary.chunks(profile, list(registers)):
        twin, raw_names = _with_words(profile, names)
        found = await temporary.read(access, view.id, twin, unit, [*names, *raw_names])
        for name in names:
            yield {
                "kind": "value",
                "device": f"{view.id}/{unit}",
                "register": f"{function}:{name}",
                "point": None,
                **plain(access, found[name]),
                "raw": _hex(twin, found, name),
                "writable": False,
            }
