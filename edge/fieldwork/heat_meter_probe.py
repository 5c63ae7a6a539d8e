"""`probe` of a CJ/T 188 heat meter: asked once, its answer read in every known way, the ways ranked."""

import asyncio
import contextlib
from collections.abc import Iterator

from drivers import DeviceSetting, Driver, NoAnswerError, ProtocolError, Traffic, Verdict, heat_readings
from edge.fieldwork import temporary
from edge.fieldwork.access import Access, BusView
from edge.fieldwork.heat_meter import Ranked, drafted, rank
from edge.fieldwork.messages import Asked, FieldworkError, Message, Stream, note
from edge.fieldwork.scanning import ANY_NUMBER, CJT188_WAYS
from edge.records import Plain

_SHOWN = 3
_DEVICE = "~probe"
_OFFSETS = {
    "energy": 5,
    "power": 10,
    "flow": 15,
    "volume": 20,
    "supply_temperature": 25,
    "return_temperature": 28,
}


async def probe_heat_meter(access: Access, view: BusView, asked: Asked) -> Stream:
    """Progress, the candidates, and the draft's text. `meter` is its number; without, the only one there."""
    number = asked.text("meter", ANY_NUMBER)
    began = asyncio.get_running_loop().time()
    for done, (identifier, meter_type) in enumerate(CJT188_WAYS):
        yield _progress(done, began, f"{identifier} {meter_type:02X}")
        try:
            data = await _answer(access, view, number, identifier, meter_type)
        except NoAnswerError:
            continue
        ranked = rank(heat_readings(data))
        if not ranked:
            yield note("no_decimals")
        for message in _told(ranked[:_SHOWN], identifier, meter_type):
            yield message
        return
    raise FieldworkError("no_meter", ways=len(CJT188_WAYS))


def _progress(done: int, began: float, where: str) -> Message:
    spent_s = asyncio.get_running_loop().time() - began
    left_s = spent_s / done * (len(CJT188_WAYS) - done) if done else None
    return {
        "kind": "progress",
        "done": done,
        "total": len(CJT188_WAYS),
        "found": 0,
        "where": where,
        "left_s": left_s,
    }


async def _answer(access: Access, view: BusView, number: str, identifier: str, meter_type: int) -> bytes:
    """The meter's frame, whether its values can be read by the standard or not."""
    profile = temporary.cjt188_profile(identifier, meter_type, "energy")
    heard: list[bytes] = []

    def tap(traffic: Traffic) -> None:
        if traffic.device == _DEVICE and traffic.verdict is Verdict.ANSWER:
            heard.append(traffic.data)

    async def job(driver: Driver) -> None:
        driver.adopt(DeviceSetting(_DEVICE, profile, address=number))
        remove = access.listen(view.id, tap)
        try:
            with contextlib.suppress(ProtocolError):  # its layout cannot be told: that is why we are here
                await driver.read(temporary.points(_DEVICE, profile, ["energy"]))
        finally:
            remove()
            driver.dismiss(_DEVICE)

    await access.run(view.id, job)
    if not heard:
        raise FieldworkError("several_meters")
    return heard[-1]


def _told(ranked: list[Ranked], identifier: str, meter_type: int) -> Iterator[Message]:
    for position, each in enumerate(ranked, 1):
        yield _candidate(position, each)
    if ranked:
        best = ranked[0]
        yield {"kind": "draft", "text": drafted(best.reading, identifier, meter_type, best.score)}
    if len(ranked) > 1 and ranked[0].why == ranked[1].why:
        yield note("decimals_open")


def _candidate(position: int, each: Ranked) -> Message:
    return {
        "kind": "candidate",
        "position": position,
        "type": each.reading.layout,
        "order": each.reading.decimals,
        "score": round(each.score, 3),
        "why": list(each.why),
        "found": [_found(each, name, offset) for name, offset in _OFFSETS.items()],
    }


def _found(each: Ranked, name: str, offset: int) -> dict[str, Plain]:
    value, unit = each.reading.amounts[name]
    return {
        "quantity": name,
        "address": offset,
        "type": "bcd",
        "order": "",
        "scale": 1.0,
        "unit": unit.value,
        "value": None if value is None else float(value),
    }
