"""All ways to read a heat meter's answer, as plain facts for whoever ranks them. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from drivers.cjt188.frames import HEAT, decode
from drivers.cjt188.units import Kind
from drivers.cjt188.values import KNOWN_DECIMALS, Layout, candidates
from drivers.errors import RemoteProtocolError
from drivers.units import Unit

_STATED = frozenset({Kind.ENERGY, Kind.POWER, Kind.FLOW, Kind.VOLUME, Kind.TEMPERATURE})


@dataclass(frozen=True, slots=True)
class HeatReading:
    """One way: `amounts` by field of the profile, None where the meter shows nothing; `places` by kind."""

    layout: Layout
    decimals: str
    places: Mapping[str, int]
    amounts: Mapping[str, tuple[Decimal | None, Unit]]


def heat_readings(data: bytes) -> tuple[HeatReading, ...]:
    """Every way to read the frame in `data`; RemoteProtocolError when it is no answer of a heat meter."""
    frame = decode(data)
    if not frame.is_answer or frame.is_error or not frame.names(HEAT):
        raise RemoteProtocolError("not the values of a heat meter")
    found = candidates(frame.payload)
    if not found:
        raise RemoteProtocolError(f"a heat meter's data has 42 or 43 bytes, not {len(frame.payload)}")
    return tuple(
        HeatReading(
            each.heat.layout,
            each.decimals,
            {kind.value: KNOWN_DECIMALS[each.decimals][kind] for kind in _STATED},
            {name: (amount.number, amount.unit) for name, amount in each.heat.amounts.items()},
        )
        for each in found
    )
