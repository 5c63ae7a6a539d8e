"""`scan`: who answers on a bus, one exchange at a time, and what each may be.

Most Modbus devices know no question for what they are: a unit is there when it answers a read of register 0
(function 3, then 4) or refuses it, and the profiles whose telling values make sense are named.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from drivers import (
    Cjt188Bus,
    ClosedError,
    Driver,
    Found,
    MBusBus,
    ModbusProfile,
    ModbusRtuBus,
    ModbusTcpBus,
    NoAnswerError,
    Outcome,
    PrimaryScan,
    Profile,
    ProtocolError,
    Quality,
    Reading,
    Reason,
    Searchable,
    SecondarySearch,
    Unit,
)
from edge.assembly import load_profiles
from edge.fieldwork import places, temporary
from edge.fieldwork.access import Access, BusView
from edge.fieldwork.messages import Asked, FieldworkError, Message, Stream, bad, note
from edge.resources import config_dir

_ABSENT = frozenset({Reason.SENTINEL, Reason.NOT_A_NUMBER})  # how meters mark a sensor that is not there
_NO_TEMPERATURE = 1e-3  # what floats in a wrong word order often are
_CHECKED = 3  # registers of a profile that are read to judge whether it fits
_MOST_MASKS = 8  # colliding numbers that are named one by one
_MOST_CLOSED = 3  # connections lost in a row until the line counts as gone


async def scan(access: Access, asked: Asked, _who: str) -> Stream:
    """Progress and found messages."""
    view = places.bus(access, asked.text("bus"))
    scanner = next((each for kind, each in _SCANNERS if isinstance(view.setting, kind)), None)
    if scanner is None:
        raise FieldworkError("cannot_scan", bus=view.id)
    async for message in scanner(access, view, asked):
        yield message


async def _modbus(access: Access, view: BusView, asked: Asked) -> Stream:
    first, last = _range(asked, 1, 247)
    if asked.flag("secondary"):
        raise FieldworkError("not_m_bus", bus=view.id)
    known = {each.setting.unit_id: each.setting for each in view.devices}
    candidates = await asyncio.to_thread(profiles, access.folder, "modbus")
    began, found, closed = asyncio.get_running_loop().time(), 0, 0
    units = range(first, last + 1)
    for done, unit in enumerate(units):
        yield _progress(done, len(units), found, began, str(unit))
        try:
            answer = await _answer(access, view, unit)
            closed = 0
        except ClosedError:
            closed += 1
            if closed >= _MOST_CLOSED:
                raise
            continue
        if answer is None:
            continue
        found += 1
        setting = known.get(unit)
        yield {
            "kind": "found",
            "place": unit,
            "answer": answer,
            "device": None if setting is None else setting.id,
            "profile": None if setting is None else setting.profile,
        }
        if setting is None and answer != "garbled":
            yield {"kind": "like", "place": unit, "profiles": await _alike(access, view, unit, candidates)}
    yield _progress(len(units), len(units), found, began, "")
    yield note("scanned", found=found, first=first, last=last)


def _range(asked: Asked, low: int, high: int) -> tuple[int, int]:
    """The addresses from --from to --to."""
    first, last = asked.whole("first", low, high, low), asked.whole("last", low, high, high)
    if first > last:
        raise bad("last", f"{last} < {first}")
    return first, last


def _progress(done: int, total: int, found: int, began: float, where: str) -> Message:
    spent_s = asyncio.get_running_loop().time() - began
    left_s = spent_s / done * (total - done) if done else None
    return {
        "kind": "progress",
        "done": done,
        "total": total,
        "found": found,
        "where": where,
        "left_s": None if left_s is None else round(left_s, 1),
    }


async def _answer(access: Access, view: BusView, unit: int) -> str | None:
    """`holding` or `input` (registers that answer), `refuses`, `garbled`, or None where nobody is."""
    for function, kind in ((3, "holding"), (4, "input")):
        try:
            reading = await _register_0(access, view, unit, function)
        except NoAnswerError:
            return None if function == 3 else "refuses"
        except ProtocolError:
            return "garbled"
        if reading.value is not None:
            return kind
    return "refuses"


async def _register_0(access: Access, view: BusView, unit: int, function: int) -> Reading:
    found = await temporary.read(access, view.id, temporary.words(function, 0, 1), unit, ["w0"])
    return found["w0"]


def profiles(folder: Path | None, protocol: str) -> Mapping[str, Profile]:
    """All profiles of a protocol, ours and the site's own; those that cannot be used are left out."""
    folders = [config_dir() / "profiles", *([] if folder is None else [folder / "profiles"])]
    names = [path.stem for each in folders if each.is_dir() for path in sorted(each.glob("*.toml"))]
    found = load_profiles(names, folder or config_dir())
    return {
        name: each
        for name, each in found.items()
        if not isinstance(each, Exception) and each.profile.protocol == protocol
    }


async def _alike(access: Access, view: BusView, unit: int, candidates: Mapping[str, Profile]) -> list[str]:
    """Names of the profiles whose first telling values make sense at this unit, the clearest first."""
    scores: dict[str, float] = {}
    for name, profile in candidates.items():
        try:
            score = await _fits(access, view, unit, profile)
        except (NoAnswerError, ProtocolError):
            continue
        if score > 0:
            scores[name] = score
    return sorted(scores, key=lambda name: (-scores[name], name))[:4]


async def _fits(access: Access, view: BusView, unit: int, profile: Profile) -> float:
    """How many of the telling values make sense, 0 as soon as one does not."""
    assert isinstance(profile, ModbusProfile)
    names = telling(profile)
    group = next(temporary.chunks(profile, names), ())
    found = await temporary.read(access, view.id, profile, unit, group) if group else {}
    if not found or any(not _sensible(reading) for reading in found.values()):
        return 0.0
    if all(not reading.value for reading in found.values()):
        return 0.0
    good = (reading for reading in found.values() if reading.value is not None)
    return sum(2.0 if reading.unit is Unit.CELSIUS else 1.0 for reading in good)


def telling(profile: ModbusProfile) -> list[str]:
    """The registers to judge by: temperatures first, else such as have limits."""
    temperatures = [name for name, each in profile.registers.items() if each.unit is Unit.CELSIUS]
    limited = [n for n, each in profile.registers.items() if each.high is not None and each.bit is None]
    return (temperatures or limited)[:_CHECKED]


def _sensible(reading: Reading) -> bool:
    if reading.quality is not Quality.GOOD or reading.value is None:
        return reading.reason in _ABSENT
    if reading.unit is not Unit.CELSIUS:
        return True
    return -40.0 <= reading.value <= 180.0 and not 0 < abs(reading.value) < _NO_TEMPERATURE


async def _mbus(access: Access, view: BusView, asked: Asked) -> Stream:
    """Primary addresses in turn, or the search by meter numbers, which finds meters with equal addresses."""
    first, last = _range(asked, 0, 250)
    primary = PrimaryScan(first, last)
    search = SecondarySearch() if asked.flag("secondary") else primary
    known = {each.setting.address: each.setting for each in view.devices}
    began = asyncio.get_running_loop().time()
    while (address := search.next()) is not None:
        done = round(1000 * search.progress)
        yield _progress(done, 1000, len(search.found), began, address)
        outcome, identity = await _find(access, view, address)
        before = len(search.found)
        search.tell(outcome)
        if outcome.outcome is Outcome.COLLISION and search is primary:
            yield {"kind": "found", "place": address, "answer": "garbled", "device": None, "profile": None}
        if len(search.found) > before:
            names = (address, identity, identity.partition(".")[0])
            setting = next((known[name] for name in names if name in known), None)
            yield {
                "kind": "found",
                "place": address if search is primary else identity,
                "answer": "meter",
                "device": None if setting is None else setting.id,
                "profile": identity,
            }
    if isinstance(search, SecondarySearch):
        for message in _told(search, began):
            yield message
        return
    yield _progress(1000, 1000, len(search.found), began, "")
    yield note("scanned", found=len(search.found), first=first, last=last)


def _told(search: SecondarySearch, began: float) -> Iterator[Message]:
    """What is to be said at the end of a search by numbers: of what it could not tell apart, too."""
    done = round(1000 * search.progress)
    yield _progress(done if search.gave_up else 1000, 1000, len(search.found), began, "")
    for mask in search.collisions[:_MOST_MASKS]:
        yield note("collision", mask=mask)
    if len(search.collisions) > _MOST_MASKS:
        yield note("more_collisions", count=len(search.collisions) - _MOST_MASKS)
    if search.gave_up:
        yield note("gave_up", count=len(search.collisions), percent=round(100 * search.progress))
    else:
        yield note("searched", found=len(search.found))


async def _find(access: Access, view: BusView, address: str) -> tuple[Found, str]:
    """What came of an address, and who it was.

    Answers of two meters can lie upon each other so that a third number comes of it, checksum and all: what a
    mask found must answer to its full number.
    """
    found = await _try(access, view, address)
    if found.outcome is Outcome.ONE and _WILDCARD in address:
        again = await _try(access, view, found.address)
        if again != found:
            found = Found(Outcome.COLLISION)
    return found, found.address


async def _try(access: Access, view: BusView, address: str) -> Found:
    async def job(driver: Driver) -> Found:
        if not isinstance(driver, Searchable):
            raise FieldworkError("cannot_scan", bus=view.id)
        return await driver.find(address)

    return await access.run(view.id, job)


_WILDCARD = "F"
CJT188_WAYS = (("901F", 0x20), ("1F90", 0x20), ("901F", 0xAA), ("1F90", 0xAA))
ANY_NUMBER = 14 * "A"


async def _cjt188(access: Access, view: BusView, _asked: Asked) -> Stream:
    """Ask whoever is there for its number, in every way that meters want to be asked."""
    known = {each.setting.address: each.setting for each in view.devices}
    began = asyncio.get_running_loop().time()
    for done, (identifier, meter_type) in enumerate(CJT188_WAYS):
        yield _progress(done, len(CJT188_WAYS), 0, began, f"{identifier} {meter_type:02X}")
        try:
            number = await _whoever(access, view, identifier, meter_type)
        except NoAnswerError:
            continue
        except ProtocolError:
            yield note("several_meters")
            return
        setting = known.get(number) or known.get(number.lstrip("0"))
        yield {
            "kind": "found",
            "place": number,
            "answer": "meter",
            "device": None if setting is None else setting.id,
            "profile": f"identifier {identifier}, type {meter_type:02X}",
        }
        return
    yield _progress(len(CJT188_WAYS), len(CJT188_WAYS), 0, began, "")
    yield note("nobody", ways=len(CJT188_WAYS))


async def _whoever(access: Access, view: BusView, identifier: str, meter_type: int) -> str:
    """The number of the only meter on the line."""
    profile = temporary.cjt188_profile(identifier, meter_type)
    reading = (await temporary.read(access, view.id, profile, ANY_NUMBER, ["meter_number"]))["meter_number"]
    return "?" if reading.value is None else f"{int(reading.value):014d}"


_SCANNERS: tuple[tuple[type[object], Callable[[Access, BusView, Asked], Stream]], ...] = (
    (ModbusRtuBus, _modbus),
    (ModbusTcpBus, _modbus),
    (MBusBus, _mbus),
    (Cjt188Bus, _cjt188),
)
