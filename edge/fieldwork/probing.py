"""`probe`: the registers of an unknown Modbus meter, read twice, ranked, and a profile drafted of the best.

A meter of CJ/T 188 is another matter: see heat_meter_probe.

Blocks are small and one exchange each, so that a line in service is never held for long. A refused block is
read again in smaller ones, in pairs for meters that refuse half a value, and at last one by one.
"""

import asyncio
from collections.abc import Iterator

from drivers import Cjt188Bus, ModbusRtuBus, ModbusTcpBus, NoAnswerError
from edge.fieldwork import places, temporary
from edge.fieldwork.access import Access, BusView
from edge.fieldwork.draft import draft
from edge.fieldwork.heat_meter_probe import probe_heat_meter
from edge.fieldwork.messages import Asked, FieldworkError, Message, Stream, note
from edge.fieldwork.plausible import ORDERS, WIDTHS, Candidate, Words, number, rank
from edge.records import Plain

_SIZES = (16, 4, 2, 1)
_BLOCK = _SIZES[0]
_MOST_LINES = 24
_MOST = 2000  # registers of one probe
_MOST_SILENT = 3  # blocks in a row without any answer until the meter counts as gone
_SHOWN = 3  # candidates
_CLEARLY = 0.5  # of the best score: what is below is not worth a line


async def probe(access: Access, asked: Asked, _who: str) -> Stream:
    """Progress, what each place may hold, candidates, and the draft's text."""
    view = places.bus(access, asked.text("bus"))
    if isinstance(view.setting, Cjt188Bus):
        async for message in probe_heat_meter(access, view, asked):
            yield message
        return
    if not isinstance(view.setting, ModbusRtuBus | ModbusTcpBus):
        raise FieldworkError("cannot_probe", bus=view.id)
    unit, function = asked.whole("unit", 0, 255), asked.whole("function", 3, 4, 3)
    first, last = asked.whole("first", 0, 65535, 0), asked.whole("last", 0, 65535, 99)
    if not 0 <= last - first < _MOST:
        raise FieldworkError("range_of_registers", most=_MOST)
    loop = asyncio.get_running_loop()
    one: dict[int, int] = {}
    two: dict[int, int] = {}
    began, wall = loop.time(), access.now()
    async for message in _read_all(access, view, unit, function, (first, last), one):
        yield message
    if not one:
        raise FieldworkError("no_registers", unit=unit, function=function, first=first, last=last)
    until = began + asked.number("wait_s", 0.0, 600.0, 10.0)
    while (left_s := until - loop.time()) > 0:
        yield {
            "kind": "progress",
            "done": 0,
            "total": 0,
            "found": len(one),
            "where": "wait",
            "left_s": left_s,
        }
        await asyncio.sleep(min(1.0, left_s))
    elapsed_s = access.now() - wall  # in the meter's own time, which a bench may run faster
    async for message in _read_all(access, view, unit, function, (min(one), max(one)), two):
        yield message
    ranked = await asyncio.to_thread(rank, one, two, elapsed_s)
    shown = [each for each in ranked[:_SHOWN] if each.score >= _CLEARLY * ranked[0].score]
    for message in _told(one, function, shown):
        yield message


def _told(words: Words, function: int, candidates: list[Candidate]) -> Iterator[Message]:
    for address in _worth_a_line(words, candidates):
        orders: dict[str, Plain] = {order: number(words, address, "f32", order) for order in ORDERS}
        yield {"kind": "place", "address": address, "word": words[address], "orders": orders}
    for position, each in enumerate(candidates, 1):
        yield _candidate(position, each)
    if not candidates:
        yield note("nothing_plausible")
        return
    yield {"kind": "draft", "text": draft(candidates[0], function)}


def _worth_a_line(words: Words, candidates: list[Candidate]) -> list[int]:
    """Where the best candidate has its values, and the places in step with it that hold a usual number."""
    if not candidates:
        return [address for address in sorted(words) if words[address]][:_MOST_LINES]
    best = candidates[0]
    named = {found.address for found in best.found}
    step = best.found[0].address % WIDTHS[best.type]
    ours = [address for address in sorted(words) if address % WIDTHS[best.type] == step]
    usual = [a for a in ours if _is_usual(number(words, a, best.type, best.order))]
    return sorted(named | set(usual[:_MOST_LINES]))


def _is_usual(value: float | None) -> bool:
    return value is not None and 0.01 <= abs(value) <= 1e9


def _candidate(position: int, each: Candidate) -> Message:
    return {
        "kind": "candidate",
        "position": position,
        "type": each.type,
        "order": each.order,
        "score": round(each.score, 3),
        "why": list(each.why),
        "found": [
            {
                "quantity": found.quantity,
                "address": found.address,
                "type": found.type,
                "order": found.order,
                "scale": found.scale,
                "unit": found.unit.value,
                "value": found.value,
            }
            for found in each.found
        ],
    }


async def _read_all(
    access: Access, view: BusView, unit: int, function: int, limits: tuple[int, int], into: dict[int, int]
) -> Stream:
    """Every register that answers goes `into`; progress after each block."""
    first, last = limits
    loop = asyncio.get_running_loop()
    began, silent = loop.time(), 0
    starts = range(first, last + 1, _BLOCK)
    for done, start in enumerate(starts):
        try:
            into |= await _block(access, view, unit, function, start, min(_BLOCK, last + 1 - start))
            silent = 0
        except NoAnswerError:
            silent += 1
            if silent >= _MOST_SILENT or (not into and silent >= 2):
                raise
        spent_s = loop.time() - began
        yield {
            "kind": "progress",
            "done": done + 1,
            "total": len(starts),
            "found": len(into),
            "where": str(start),
            "left_s": round(spent_s / (done + 1) * (len(starts) - done - 1), 1),
        }


async def _block(
    access: Access, view: BusView, unit: int, function: int, start: int, size: int
) -> dict[int, int]:
    """The words of a block, whole, else in ever smaller parts; what is refused alone is not there."""
    found = await _span(access, view, unit, function, start, size)
    smaller = next((each for each in _SIZES if each < size), None)
    if found or smaller is None:
        return found
    for begin in range(start, start + size, smaller):
        part = min(smaller, start + size - begin)
        found |= await _block(access, view, unit, function, begin, part)
    return found


async def _span(
    access: Access, view: BusView, unit: int, function: int, start: int, size: int
) -> dict[int, int]:
    """`size` registers in one exchange; {} when they are refused."""
    addresses = range(start, start + size)
    registers = {f"w{address}": temporary.word(function, address) for address in addresses}
    profile = temporary.modbus_profile(registers | _links(function, start, size), merge_holes=0)
    found = await temporary.read(access, view.id, profile, unit, list(profile.registers))
    values = {address: found[f"w{address}"].value for address in addresses}
    known = {address: int(value) for address, value in values.items() if value is not None}
    return known if len(known) == size else {}


def _links(function: int, start: int, size: int) -> dict[str, dict[str, object]]:
    """Values of two registers that chain a block together: as none is split, a refusal costs little."""
    return {
        f"link{address}": temporary.word(function, address) | {"type": "u32"}
        for address in range(start, start + size - 1)
    }
