"""The meter's side of the application layer: records and telegrams from values."""

from drivers.mbus import frames
from drivers.mbus.frames import Ci
from drivers.mbus.telegram import Identity, maker_code

RSP_UD = 0x08
_FUNCTIONS = ("instantaneous", "maximum", "minimum", "error")
INT_FIELDS = {1: 0x1, 2: 0x2, 3: 0x3, 4: 0x4, 6: 0x6, 8: 0x7}
BCD_FIELDS = {1: 0x9, 2: 0xA, 3: 0xB, 4: 0xC, 6: 0xE}


def dib(
    field: int, function: str = "instantaneous", storage: int = 0, tariff: int = 0, subunit: int = 0
) -> bytes:
    """DIF and as many DIFEs as the numbers need."""
    first = field | _FUNCTIONS.index(function) << 4 | (storage & 1) << 6
    storage >>= 1
    extensions = []
    while storage or tariff or subunit:
        extensions.append(storage & 0x0F | (tariff & 0x03) << 4 | (subunit & 0x01) << 6)
        storage, tariff, subunit = storage >> 4, tariff >> 2, subunit >> 1
    return extended(bytes((first, *extensions)))


def extended(codes: bytes) -> bytes:
    """Extension bits on all but the last."""
    return bytes(code | 0x80 for code in codes[:-1]) + codes[-1:]


def bcd(number: int, size: int) -> bytes:
    """Decimal digits in `size` bytes, low ones first; a minus sign takes the highest digit."""
    digits = f"F{-number:0{2 * size - 1}d}" if number < 0 else f"{number:0{2 * size}d}"
    return bytes.fromhex(digits)[::-1]


def bcd_record(vib: bytes, number: int, size: int = 4, **place: object) -> bytes:
    """A record of `2 * size` digits."""
    return dib(BCD_FIELDS[size], **place) + vib + bcd(number, size)  # type: ignore[arg-type]


def int_record(vib: bytes, number: int, size: int = 4, **place: object) -> bytes:
    """A record of a binary integer."""
    data = number.to_bytes(size, "little", signed=True)
    return dib(INT_FIELDS[size], **place) + vib + data  # type: ignore[arg-type]


def identity(text: str) -> Identity:
    """The identity that "12345678.KAM.35.04" names."""
    number, maker, version, medium = text.split(".")
    return Identity(number, maker_code(maker), int(version, 16), int(medium, 16))


def telegram(address: int, who: Identity, body: bytes, access: int = 0, status: int = 0) -> bytes:
    """The bytes of an answer with variable structure."""
    maker = (who.maker or 0).to_bytes(2, "little")
    head = (
        bytes.fromhex(who.number)[::-1] + maker + bytes((who.version or 0, who.medium, access, status, 0, 0))
    )
    return frames.encode(frames.long(RSP_UD, address, Ci.VARIABLE, head + body))
