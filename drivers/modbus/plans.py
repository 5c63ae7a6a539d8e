"""The requests for points of one device, and what its refusals have taught us of how to ask. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from drivers.driver import Point
from drivers.errors import ConfigurationError, LocalProtocolError
from drivers.modbus.profile import ModbusOptions, ModbusProfile, ModbusRegister
from drivers.modbus.registers import (
    Decoder,
    Run,
    Span,
    covers,
    decode,
    decode_coil,
    decoder,
    plan,
    run_of,
    span,
)
from drivers.modbus.request import COILS, Request
from drivers.reading import Reading

_MOST_COILS = 2000  # in one request (V1.1b3, 6.1)
_COILS_A_REGISTER = 16
_WHOLE_ROUNDS = 4  # a request whose every value was refused, too, is not split so often

Read = Callable[[Decoder, bytes, int, float], Reading]


@dataclass(frozen=True, slots=True)
class Target:
    """A point, where its value lies and how it is read."""

    name: str
    span: Span
    decoder: Decoder


Targets = tuple[tuple[Target, int], ...]


@dataclass(frozen=True, slots=True)
class Job:
    """One request and the points that live in its answer, each with the place where it begins there.

    Plain numbers are taken in one `run`, the `single` others by `read`.
    """

    request: Request
    span: Span
    targets: Targets
    run: Run
    read: Read
    single: Targets  # those that are not in the run


@dataclass(frozen=True, slots=True)
class Plan:
    """The requests for some points."""

    points: tuple[Point, ...]
    jobs: tuple[Job, ...]


@dataclass(slots=True)
class ServedDevice:
    """A device and what was learned of its refusals: `holes` falls to 0 and -1, `alone` are refused spans.

    `doubted` are requests refused once although all in them answered alone: that may have been a passing
    fault. `refusing` are those all of which was refused, too, with the rounds until they are split again: a
    device that refuses everything costs its neighbours no more than one that answers.
    """

    id: str
    unit: int
    profile: ModbusProfile
    holes: int
    alone: set[Span] = field(default_factory=set)
    doubted: set[Span] = field(default_factory=set)
    refusing: dict[Span, int] = field(default_factory=dict)
    plans: dict[tuple[str, str, int], Plan] = field(default_factory=dict)

    @property
    def options(self) -> ModbusOptions:
        """What the device bears."""
        return self.profile.modbus

    def register(self, name: str) -> ModbusRegister:
        """The register of that name; ConfigurationError when the profile has none."""
        try:
            return self.profile.registers[name]
        except KeyError:
            text = f"device {self.id}: {self.profile.profile.id} has no register {name!r}: correct the point"
            raise ConfigurationError(text) from None

    def jobs_for(self, points: tuple[Point, ...]) -> tuple[Job, ...]:
        """The requests for these points; planned once and again after something was learned."""
        # to hash every point would cost more than the whole exchange; equal ones are mostly the same ones
        key = points[0].name, points[-1].name, len(points)
        plan_ = self.plans.get(key)
        if plan_ is None or plan_.points != points:
            targets = [self._target(point) for point in points]
            plan_ = self.plans[key] = Plan(points, self.planned(targets, self.holes))
        return plan_.jobs

    def _target(self, point: Point) -> Target:
        if point.device != self.id:
            raise LocalProtocolError(f"one request is for one device, not for {self.id} and {point.device}")
        register = self.register(point.register)
        return Target(point.name, span(register), decoder(register, point.unit))

    def planned(self, targets: Sequence[Target], holes: int) -> tuple[Job, ...]:
        """The requests that cover `targets`, merged over `holes` unused registers at most (see `plan`)."""
        most, alone = self.options.max_registers, frozenset(self.alone)
        words = [t.span for t in targets if t.span.function not in COILS]
        coils = [t.span for t in targets if t.span.function in COILS]
        blocks = plan(words, most, holes, alone)
        if coils:
            most, wide = min(_COILS_A_REGISTER * most, _MOST_COILS), max(holes, _COILS_A_REGISTER * holes)
            blocks += plan(coils, most, wide, alone)
        return tuple(self._job(block, targets) for block in blocks)

    def _job(self, block: Span, targets: Sequence[Target]) -> Job:
        # a span read alone may also lie inside a merged block: it is taken from its own request only
        inside = [
            t for t in targets if covers(block, t.span) and (t.span not in self.alone or t.span == block)
        ]
        coils = block.function in COILS
        places = [
            (t, t.span.start - block.start if coils else 1 + 2 * (t.span.start - block.start)) for t in inside
        ]
        run, taken = run_of([] if coils else [(t.name, t.decoder, place) for t, place in places])
        single = tuple((t, place) for t, place in places if t.name not in taken)
        read = decode_coil if coils else decode
        return Job(Request.read(self.unit, block), block, tuple(places), run, read, single)

    def worth_splitting(self, job: Job) -> bool:
        """True when the values of a refused request may answer if they are asked for one by one."""
        rounds = self.refusing.get(job.span, 0)
        if rounds:
            self.refusing[job.span] = rounds - 1
        return not rounds and len({target.span for target, _ in job.targets}) > 1

    def learn(self, job: Job, refused: set[Span]) -> None:
        """`job` was refused, and alone `refused` of it: these are to blame, or else the way it was merged."""
        if refused == {target.span for target, _ in job.targets}:
            self.refusing[job.span] = _WHOLE_ROUNDS
            return
        if refused:
            self.alone |= refused
        elif job.span not in self.doubted:
            self.doubted.add(job.span)
            return
        else:
            self.holes = 0 if self.holes > 0 else -1
        self._plan_anew()

    def forgive(self, job: Job) -> None:
        """A request has been answered: what was held against it is forgotten, and it may be merged again."""
        self.doubted.discard(job.span)
        self.refusing.pop(job.span, None)
        if job.span in self.alone:
            self.alone.discard(job.span)
            self._plan_anew()

    def _plan_anew(self) -> None:
        self.plans.clear()
        self.doubted.clear()
        self.refusing.clear()
