"""What a frame of M-Bus says, for the technician's monitor. Pure; the sentences are the catalogue's."""

from decimal import Decimal

from drivers.errors import ProtocolError
from drivers.mbus import frames
from drivers.mbus.frames import FCB, REQ_UD2, SND_NKE, SND_UD, Ci, Frame, Kind
from drivers.mbus.records import Function, Record
from drivers.mbus.telegram import MEDIA, ApplicationError, Telegram, read_telegram
from drivers.traffic import Meaning

KEYS = frozenset(
    f"mbus.{name}"
    for name in (
        "ack",
        "start",
        "ask",
        "select",
        "reset",
        "send",
        "telegram",
        "refused",
        "unreadable",
        "junk",
    )
)
"""Every key `explain` gives: what a catalogue must have."""

_SHOWN = ("energy", "volume", "volume_flow", "power", "flow_temperature", "return_temperature")


def explain(data: bytes) -> Meaning:
    """The meaning of bytes from the line: of the one frame in them, or that there is none. Never raises."""
    try:
        frame = frames.decode(data)
    except ProtocolError:
        return Meaning("mbus.junk", {"bytes": len(data)})
    if frame.kind is Kind.ACK:
        return Meaning("mbus.ack", {})
    return _short(frame) if frame.kind is Kind.SHORT else _long(frame)


def _short(frame: Frame) -> Meaning:
    if frame.control == SND_NKE:
        return Meaning("mbus.start", {"address": frame.address})
    if frame.control & ~FCB == REQ_UD2:
        return Meaning("mbus.ask", {"address": frame.address, "bit": int(bool(frame.control & FCB))})
    return Meaning("mbus.send", _service(frame))


def _long(frame: Frame) -> Meaning:
    if frame.is_answer:
        return _answer(frame)
    if frame.control & ~FCB == SND_UD and frame.ci == Ci.SELECT and len(frame.data) >= 8:
        return Meaning("mbus.select", {"mask": frame.data[3::-1].hex().upper(), "rest": _hex(frame.data[4:])})
    if frame.control & ~FCB == SND_UD and frame.ci == Ci.RESET:
        return Meaning("mbus.reset", {"address": frame.address, "data": _hex(frame.data)})
    return Meaning("mbus.send", _service(frame))


def _service(frame: Frame) -> dict[str, str | int]:
    ci = "-" if frame.ci is None else f"{frame.ci:02X}"
    return {
        "address": frame.address,
        "control": f"{frame.control:02X}",
        "service": ci,
        "data": _hex(frame.data),
    }


def _hex(data: bytes) -> str:
    return data.hex(" ").upper() or "-"


def _answer(frame: Frame) -> Meaning:
    try:
        telegram = read_telegram(frame)
    except ApplicationError as error:
        return Meaning("mbus.refused", {"address": frame.address, "code": error.code})
    except ProtocolError as error:
        return Meaning("mbus.unreadable", {"address": frame.address, "why": str(error)})
    return Meaning("mbus.telegram", _facts(telegram))


def _facts(telegram: Telegram) -> dict[str, str | int]:
    who = telegram.identity
    shown = {quantity: _shown(telegram, quantity) for quantity in _SHOWN}
    return {
        "address": telegram.address,
        "meter": str(who),
        "medium": MEDIA.get(who.medium, f"{who.medium:02X}"),
        "access": telegram.access,
        "status": f"{telegram.status:02X}",
        "records": len(telegram.records),
        "more": "+" if telegram.more else "-",
        **shown,
    }


def _shown(telegram: Telegram, quantity: str) -> str:
    """The first present value of a quantity; "-" when there is none."""
    for record in telegram.records:
        if record.quantity == quantity and _is_present(record):
            value = record.value
            return f"{value:f} {record.symbol}" if isinstance(value, Decimal) else str(record.fault or "-")
    return "-"


def _is_present(record: Record) -> bool:
    now = record.function is Function.INSTANTANEOUS
    return now and not (record.storage or record.tariff or record.subunit)
