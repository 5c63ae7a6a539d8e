"""Do measured rooms cover the places a text wants sampled, and are they mounted as it says? Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from edge.rules.facts import RoomPlace
from edge.rules.model import Pack
from edge.rules.sections import Sampling


@dataclass(frozen=True, slots=True)
class Coverage:
    """`complete` is None where the text names no places. `missing` holds keys like `floor.top`,
    `orientations`, `height:<room>`; `signatures` are the places the record sheet needs.
    """

    complete: bool | None
    clause: str | None
    missing: tuple[str, ...]
    signatures: tuple[str, ...] = ()


def sample_coverage(pack: Pack, places: Sequence[RoomPlace]) -> Coverage:
    """Judge the rooms of a sampling round."""
    rule = pack.sampling
    if rule is None:
        return Coverage(None, None, ())
    if not rule.positions and not rule.floors:
        return Coverage(None, rule.clause, (), rule.signatures)
    missing = (*_places(rule, places), *_mounting(rule, places))
    return Coverage(not missing, rule.clause, missing, rule.signatures)


def _places(rule: Sampling, places: Sequence[RoomPlace]) -> list[str]:
    positions = {place.position for place in places}
    floors = {place.floor for place in places}
    missing = [f"position.{wanted}" for wanted in rule.positions if wanted not in positions]
    missing += [f"floor.{wanted}" for wanted in rule.floors if wanted not in floors]
    if len({place.orientation for place in places}) < rule.minimum_orientations:
        missing.append("orientations")
    return missing


def _mounting(rule: Sampling, places: Sequence[RoomPlace]) -> list[str]:
    missing = []
    for place in sorted(places, key=lambda place: place.room):
        if not _within(place.height_m, rule.height_from_m, rule.height_to_m):
            missing.append(f"height:{place.room}")
        if not _within(place.wall_distance_m, rule.wall_distance_m, None):
            missing.append(f"wall_distance:{place.room}")
    return missing


def _within(value: float | None, low: float | None, high: float | None) -> bool:
    """A figure nobody measured is no proof; a limit the text does not give asks for none."""
    if low is None and high is None:
        return True
    return value is not None and (low is None or value >= low) and (high is None or value <= high)
