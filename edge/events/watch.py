"""The judge: one call per cycle over everything that is watched, and its rebuilding after a restart. Pure.

A watcher apart from control, in the manner of Klipper's verify_heater: it asks only whether the circuits heat
as they should, reads what control shows, and commands nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache

from edge.clock import Instant
from edge.events import heat
from edge.events.alarm_memory import board_of, flood_of, track_of
from edge.events.alarm_requests import ask
from edge.events.alarms import CIRCUIT_ALARMS, ROOM_COLD, STATION_ALARMS, RoomFacts
from edge.events.annunciator import Observation, observe
from edge.events.annunciator import step as step_alarms
from edge.events.board import Alarm, Board, Flood, Track
from edge.events.facts import CircuitFacts, Limits, circuit_facts, station_facts
from edge.events.heat import Station
from edge.events.heat_memory import FAMILIES, Rebuilt
from edge.events.meter import Count, from_journal
from edge.events.outage import CircuitWatch
from edge.events.outage_record import Outage
from edge.events.outage_requests import ask as ask_outage
from edge.events.plain import mapping
from edge.events.points import doubt_observations, point_observations
from edge.events.totals import doubtful, follow
from edge.image import ProcessImage
from edge.records import CircuitView, Event, Plain
from edge.requests import AlarmRequest, Answer, Request
from edge.site import Site


@dataclass(frozen=True, slots=True)
class WatchState:
    """Everything remembered between cycles. `discarded`: journal subjects that could not be rebuilt."""

    board: Board = field(default_factory=lambda: Board({}))
    circuits: Mapping[str, CircuitWatch] = field(default_factory=dict)
    totals: Mapping[str, Count] = field(default_factory=dict)
    station: Station = field(default_factory=Station)
    started: float | None = None
    discarded: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Judgement:
    """What one cycle found. `outages` holds open ones by circuit, `alarms` active ones in first-out order.

    `shown` are all alarms that are not at rest, `flood` is under way. `answers` are those to the requests,
    one each in their order.
    """

    state: WatchState
    events: tuple[Event, ...]
    outages: Mapping[str, Outage]
    alarms: tuple[Alarm, ...]
    answers: tuple[Answer, ...] = ()
    shown: tuple[Alarm, ...] = ()
    flood: Flood | None = None


def judge(
    state: WatchState,
    image: ProcessImage,
    views: Mapping[str, CircuitView],
    site: Site,
    limits: Limits,
    now: Instant,
    requests: Sequence[Request] = (),
) -> Judgement:
    """One cycle. Never raises for any image; the caller journals the events before it acts on them.

    Requests are taken first, in their order: they speak of what was shown before this cycle.
    """
    state, asked_events, answers = _requested(state, requests, site, now)
    started = now.monotonic if state.started is None else state.started
    leaking = {name for name, circuit in state.circuits.items() if circuit.leak.open is not None}
    facts = {c.id: circuit_facts(c, image, views.get(c.id), c.id in leaking) for c in site.circuits}
    totals, found = follow(state.totals, image, site, now)
    circuits, station, told = heat.follow(state.circuits, state.station, facts, totals, site, now)
    events = [*told, *found]
    seen = _observations(facts, image, views, site, limits, state.board, started, now)
    seen += doubt_observations(doubtful(totals), site, state.board)
    board, alarm_events = step_alarms(state.board, seen, now)
    outages = {name: watch.outage for name, watch in circuits.items() if watch.outage is not None}
    new = replace(state, board=board, circuits=circuits, totals=totals, station=station, started=started)
    events = [*asked_events, *alarm_events, *events]
    return Judgement(new, tuple(events), outages, board.active(), answers, board.shown(), board.flood)


def with_blind_interval(state: WatchState, begin: float, end: float) -> WatchState:
    """The state after an interval (Unix s) in which nobody watched: open outages keep it apart."""
    return replace(state, circuits=heat.blind(state.circuits, begin, end))


def with_clock_step(state: WatchState, step_s: float, since: float) -> WatchState:
    """The state after the wall clock was set by `step_s`: no outage lost from `since` (Unix s) on got longer.

    One that is undated is moved as a whole instead, when the clock is set for the first time (heat.py).
    """
    circuits = {
        name: replace(watch, outage=replace(watch.outage, clock_s=watch.outage.clock_s + step_s))
        if watch.outage is not None and not watch.outage.undated and watch.outage.lost_at >= since
        else watch
        for name, watch in state.circuits.items()
    }
    return replace(state, circuits=circuits)


def _requested(
    state: WatchState, requests: Sequence[Request], site: Site, now: Instant
) -> tuple[WatchState, list[Event], tuple[Answer, ...]]:
    """The state after all requests, what happened by them, and an answer to each."""
    events: list[Event] = []
    answers: list[Answer] = []
    for request in requests:
        state, found, answer = _ask(state, request, site, now)
        events += found
        answers.append(answer)
    return state, events, tuple(answers)


def _ask(
    state: WatchState, request: Request, site: Site, now: Instant
) -> tuple[WatchState, Sequence[Event], Answer]:
    """One request, by what it is about: alarms go to the board, outages to their own room."""
    if isinstance(request, AlarmRequest):
        board, events, answer = ask(state.board, request, site, now)
        return replace(state, board=board), events, answer
    circuits, station, events, answer = ask_outage(state.circuits, state.station, request, site, now)
    return replace(state, circuits=circuits, station=station), events, answer


def _observations(
    facts: Mapping[str, CircuitFacts],
    image: ProcessImage,
    views: Mapping[str, CircuitView],
    site: Site,
    limits: Limits,
    board: Board,
    started: float,
    now: Instant,
) -> list[Observation]:
    """Every alarm that is not at rest."""
    found = observe(STATION_ALARMS, "station", station_facts(image, views, site, limits), board)
    for name, known in facts.items():
        found += observe(CIRCUIT_ALARMS, name, known, board)
    found += _rooms(facts, image, site, limits, board)
    found += point_observations(image, site, board, started, now)
    return found


def _rooms(
    facts: Mapping[str, CircuitFacts], image: ProcessImage, site: Site, limits: Limits, board: Board
) -> list[Observation]:
    """Rooms that are too cold. A warm one without an alarm is passed over at once: there may be thousands."""
    found: list[Observation] = []
    minimum_c, tracks, value = limits.room_minimum_c, board.tracks, image.value
    for room in site.rooms:
        where, point, subject = _room_names(room.id)
        temperature = value(point)
        warm = temperature is None or minimum_c is None or temperature >= minimum_c
        if warm and subject not in tracks:
            continue
        circuit = facts.get(room.circuit)
        due = circuit.due if circuit is not None else None
        found += observe((ROOM_COLD,), where, RoomFacts(due, temperature, minimum_c), board)
    return found


@lru_cache(maxsize=1 << 14)
def _room_names(room: str) -> tuple[str, str, str]:
    """The room as a place, its point and the subject of its alarm; made once, asked for each cycle."""
    where = f"room.{room}"
    return where, f"{where}.temperature", f"{where}:{ROOM_COLD.key}"


def restore(rows: Iterable[Mapping[str, Plain]]) -> WatchState:
    """The state after a restart, from the newest journal row of every alarm, outage and meter subject.

    A row is a mapping with `kind`, `subject` and `body` (decoded). Other kinds are passed over; of several
    rows of one subject the last wins. A row that cannot be understood is left out and its subject named in
    `discarded`: a plant must not stand still because of an old record.
    """
    newest: dict[tuple[str, str], Mapping[str, Plain]] = {}
    discarded: list[str] = []
    for row in rows:
        newest[str(row["kind"]).partition(".")[0], str(row["subject"])] = row
    tracks: dict[str, Track] = {}
    flood: Flood | None = None
    rebuilt = Rebuilt()
    totals: dict[str, Count] = {}
    for (family, subject), row in newest.items():
        try:
            if str(row["kind"]).startswith("alarm.flood"):
                flood = flood_of(row)
            elif str(row["kind"]).startswith("alarm."):
                track = track_of(row)
                if track is not None:
                    tracks[subject] = track
            elif family in FAMILIES:
                rebuilt.take(row)
            elif str(row["kind"]).startswith("meter."):
                totals[subject] = from_journal(mapping(row["body"]))
        except (KeyError, TypeError, ValueError):
            discarded.append(subject)
    board = board_of(tracks, flood)
    return WatchState(board, rebuilt.circuits, totals, rebuilt.station, None, tuple(discarded))
