"""The outage of the whole station: all its circuits lost by one cause. Pure.

Each circuit keeps its own outage, with its own times and duties; the group says that they are one event,
which circuits it has, and whom it concerns, each circuit counted once. It begins when the last circuit is
lost and ends with the last of its outages, or when a cause is found to differ. Of causes only those that can
take all circuits at once make a group: mains and source.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from edge.clock import Instant
from edge.events.outage_record import Outage
from edge.events.plain import mapping, number
from edge.records import Cause, Event, Plain
from edge.site import Circuit, Site

STATION = "station"
_SHARED = frozenset({Cause.POWER, Cause.SOURCE})


@dataclass(frozen=True, slots=True)
class Group:
    """A station without heat. `members`: outage id by circuit; Unix s."""

    id: str
    cause: Cause
    first_lost_at: float
    lost_at: float
    members: Mapping[str, str]

    def body(self) -> dict[str, Plain]:
        """What the journal keeps: enough to rebuild it after a restart."""
        return {
            "id": self.id,
            "cause": self.cause.value,
            "first_lost_at": self.first_lost_at,
            "lost_at": self.lost_at,
            "members": dict(self.members),
        }


def from_body(value: Plain) -> Group:
    """From its journal body; KeyError, TypeError or ValueError when it is none."""
    body = mapping(value)
    members = {name: str(outage) for name, outage in mapping(body["members"]).items()}
    return Group(
        str(body["id"]),
        Cause(str(body["cause"])),
        number(body["first_lost_at"]),
        number(body["lost_at"]),
        members,
    )


def concerned(circuits: Iterable[Circuit]) -> dict[str, Plain]:
    """Circuits, heated area and dwellings, each circuit once."""
    found = {circuit.id: circuit for circuit in circuits}
    return {
        "circuits": list(found),
        "areas": [circuit.area.model_dump() for circuit in found.values()],
        "heated_area_m2": sum(circuit.heated_area_m2 for circuit in found.values()),
        "dwellings": sum(circuit.dwellings for circuit in found.values()),
    }


def step(
    group: Group | None,
    outages: Mapping[str, Outage],
    due: Mapping[str, bool | None],
    site: Site,
    now: Instant,
) -> tuple[Group | None, tuple[Event, ...]]:
    """One cycle. `due`: whether heat is due, by circuit; one that is off has nothing to lose."""
    if group is None:
        group = _begun(outages, due)
        if group is None:
            return None, ()
        body = group.body() | concerned(site.circuit(name) for name in group.members)
        return group, (Event("station.stopped", STATION, group.lost_at, now.wall, body),)
    left = [outages[name] for name, known in group.members.items() if _is(outages.get(name), known)]
    if left and all(outage.stands is group.cause for outage in left):
        return group, ()
    reason = "causes_differ" if left else "outages_over"
    circuits = [circuit for circuit in site.circuits if circuit.id in group.members]
    body = group.body() | {"ended_at": now.wall, "end_reason": reason} | concerned(circuits)
    return None, (Event("station.restored", STATION, now.wall, now.wall, body),)


def _is(outage: Outage | None, known: str) -> bool:
    return outage is not None and outage.id == known


def _begun(outages: Mapping[str, Outage], due: Mapping[str, bool | None]) -> Group | None:
    wanted = [name for name, known in due.items() if known is not False]
    if len(wanted) < 2 or any(name not in outages for name in wanted):
        return None
    members = [outages[name] for name in wanted]
    causes = {outage.stands for outage in members}
    if len(causes) != 1 or not causes <= _SHARED:
        return None
    last = max(members, key=lambda outage: outage.lost_at)
    return Group(
        last.id.replace(last.circuit, STATION, 1),
        last.stands,
        min(outage.lost_at for outage in members),
        last.lost_at,
        {outage.circuit: outage.id for outage in members},
    )
