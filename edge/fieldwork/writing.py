"""`write` and `release`: a register as its profile allows, or an output of the service held for a while.

Without `confirmed` nothing is written: a proposal says what would be. Intent first: the journal has the
event before anything goes to the device.
"""

from typing import Any

from drivers import Driver, DriverError, Point, Reading, convert
from edge.fieldwork import places
from edge.fieldwork.access import Access, Hold
from edge.fieldwork.messages import Asked, FieldworkError, Message, Stream, note
from edge.fieldwork.places import Target
from edge.fieldwork.reading import plain
from edge.records import Event, Plain

DEFAULT_HOLD_S = 600.0
LONGEST_HOLD_S = 86400.0
_NEAR = 1e-6  # of the value: what a float32 register shows of it


async def write(access: Access, asked: Asked, who: str) -> Stream:
    """A proposal, or with `confirmed` the deed: old value, new value, what the register shows after."""
    target = _single(access, asked)
    value = asked.number("value", -1e12, 1e12)
    why = asked.text("why")
    if not why.strip() or len(why) > 200:
        raise FieldworkError("why")
    point = _point(target)
    _allowed(target, point, value)
    before = await _read(access, target, point)
    held = places.output(target) if access.live else None
    seconds = asked.number("for_s", 1.0, LONGEST_HOLD_S, DEFAULT_HOLD_S)
    yield _proposal(access, target, value, before, seconds if held else None)
    for warning in _warnings(access, target, held):
        yield warning
    if not asked.flag("confirmed"):
        return
    body: dict[str, Plain] = {"who": who, "register": _name(target), "old": before.value, "new": value}
    body |= {"unit": point.unit.value, "why": why}
    if held is not None:
        await _tell(access, "technician.write", held, body | {"for_s": seconds})
        _hold(access, Hold(held, value, seconds, who, why))
        yield note("held", point=held, seconds=round(seconds))
        return
    anyway = asked.flag("anyway")
    _spend(access, target, anyway)
    body |= {"anyway": True} if anyway else {}
    await _tell(access, "technician.write", point.device, body)
    await _carry_out(access, target, point, value, body)
    after = await _read(access, target, point)
    yield {"kind": "written", "register": _name(target), "wanted": value, **plain(access, after)}
    if _differs(target, point, value, after):
        raise FieldworkError("differs", wanted=value, shows=str(after.value))


def _spend(access: Access, target: Target, anyway: bool) -> None:
    """Count the write; FieldworkError when the register's memory or its interval does not bear it."""
    rules: Any = target.device.profile.registers[target.registers[0]].write
    rest_s = access.spend(target.bus, places.wire(target), rules.interval_s, rules.per_day, anyway)
    if rest_s > rules.interval_s:
        raise FieldworkError("budget", name=_name(target), count=rules.per_day, hours=rest_s / 3600.0)
    if rest_s > 0.0:
        raise FieldworkError("interval", name=_name(target), seconds=rest_s)


async def release(access: Access, asked: Asked, who: str) -> Stream:
    """Give an output back to the service."""
    target = _single(access, asked)
    held = places.output(target)
    if held is None or not access.live:
        raise FieldworkError("not_held", name=asked.text("target"))
    await _tell(access, "technician.release", held, {"who": who})
    access.release(held, who)
    yield note("released", point=held)


def _hold(access: Access, wanted: Hold) -> None:
    try:
        access.hold(wanted)
    except ValueError as error:
        raise FieldworkError("hold", name=wanted.point, why=str(error)) from error


def _name(target: Target) -> str:
    return f"{target.device.setting.id}.{target.registers[0]}"


def _point(target: Target) -> Point:
    register = target.registers[0]
    return Point(target.point or register, target.device.setting.id, register, places.unit(target, register))


def _single(access: Access, asked: Asked) -> Target:
    target = places.target(access, asked.text("target"))
    if len(target.registers) != 1:
        raise FieldworkError("one_register", name=asked.text("target"))
    return target


def _allowed(target: Target, point: Point, value: float) -> None:
    """What the profile says; the driver would refuse the same, but later."""
    register: Any = target.device.profile.registers[point.register]
    name = f"{point.device}.{point.register}"
    if register.write is None:
        raise FieldworkError("read_only", name=name)
    states = sorted(getattr(register.write, "states", {}))
    if states or register.write.low is None:
        known = states or [0, 1]
        if value not in known:
            raise FieldworkError("no_state", name=name, value=value, known=", ".join(map(str, known)))
        return
    low, high = (convert(limit, register.unit, point.unit) for limit in _range(register))
    if not low <= value <= high:
        raise FieldworkError("range", name=name, value=value, low=low, high=high, unit=point.unit.value)


def _range(register: Any) -> tuple[float, float]:  # noqa: ANN401 (a register of any protocol)
    return register.write.low, register.write.high


def _proposal(access: Access, target: Target, value: float, before: Reading, hold_s: float | None) -> Message:
    return {
        "kind": "proposal",
        "register": _name(target),
        "point": target.point,
        "new": value,
        **plain(access, before),
        "hold_s": hold_s,
    }


def _warnings(access: Access, target: Target, held: str | None) -> list[Message]:
    rules: Any = target.device.profile.registers[target.registers[0]].write
    found = []
    if held is None and rules.per_day is not None:
        found.append(note("per_day", count=rules.per_day))
    if held is None and places.output(target) is not None:
        found.append(note("nobody_controls"))
    if not access.live:
        found.append(note("no_journal"))
    return found


async def _carry_out(
    access: Access, target: Target, point: Point, value: float, body: dict[str, Plain]
) -> None:
    async def job(driver: Driver) -> None:
        await driver.write(point, value)

    try:
        await access.run(target.bus, job)
    except DriverError as error:
        failed = {"who": body["who"], "register": body["register"], "new": value, "error": str(error)}
        await _tell(access, "technician.write_failed", target.device.setting.id, failed)
        raise


async def _read(access: Access, target: Target, point: Point) -> Reading:
    async def job(driver: Driver) -> Reading:
        return (await driver.read([point]))[point.name]

    return await access.run(target.bus, job)


def _differs(target: Target, point: Point, value: float, after: Reading) -> bool:
    """True when the register shows something else than was written, beyond the step of its scale."""
    register: Any = target.device.profile.registers[point.register]
    if after.value is None or not register.write.read_back:
        return False
    step = abs(convert(getattr(register, "scale", 0.0), register.unit, point.unit))
    return abs(after.value - value) > max(_NEAR * abs(value), step)


async def _tell(access: Access, kind: str, subject: str, body: dict[str, Plain]) -> None:
    now = access.now()
    await access.record(Event(kind, subject, now, now, body))
