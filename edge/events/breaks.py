"""A totaliser's number that does not follow from the last, and was confirmed: what it is, and how sure. Pure.

- Roll-over: from the top tenth of a range the maker gives into its bottom tenth, by a step that can be.
- Exchange: another meter number, or another unit, or after a silence another number than a reset would show.
- Reset: near zero without a silence, or with the same meter number.
- Resumed: the number goes on where it was before the last break. That one was a long false zero, or the meter
  was away; what is counted since then is kept, and the gap is closed.
- Neither can be told: a kind of its own, `meter.replaced_or_reset`, rather than a guess.
- Implausible: a jump upward that stays - what lies between is told and not counted - or a meter that counts
  back a little, as some do when heat flows back: its total goes back with it.
"""

from dataclasses import dataclass
from decimal import Decimal

from edge.events.meter import EXACT, Shown, exact_factor

_NEAR_ZERO = Decimal("0.1")  # of the old number; also the most that counts as a little less
_TOP, _BOTTOM = Decimal("0.9"), Decimal("0.1")  # of the range: where a roll-over begins and ends


@dataclass(frozen=True, slots=True)
class Break:
    """The number believed, the first that did not follow, and the meter number told since, if any.

    `could` is the most that can have been counted in between, `little` the most without what a slow register
    held back (MJ or l). `silent`: long enough unread to change a meter. `resumed`: how far the new number is
    from the one before the last break, when it follows from that (MJ or l).
    """

    old: Shown
    first: Shown
    identity: str | None
    could: Decimal
    little: Decimal
    silent: bool
    resumed: Decimal | None = None

    @property
    def step(self) -> Decimal:
        """The least that either number can move, in MJ or l."""
        return max(self.old.step, self.first.step)

    @property
    def change(self) -> Decimal:
        """From the old number to the new one, in MJ or l."""
        return EXACT.subtract(self.first.exact, self.old.exact)


@dataclass(frozen=True, slots=True)
class Finding:
    """What happened: its kind, how sure, by what evidence, and what it adds to the count (MJ or l)."""

    kind: str
    verdict: str  # "certain", "likely", "uncertain", or "withdrawn"
    evidence: tuple[str, ...]
    counted: Decimal = Decimal(0)


# The first row whose evidence is all there decides.
_FINDINGS: tuple[tuple[frozenset[str], str, str], ...] = (
    (frozenset({"as_before"}), "meter.resumed", "likely"),
    (frozenset({"meter_number_changed"}), "meter.exchanged", "certain"),
    (frozenset({"rolled"}), "meter.rolled_over", "certain"),
    (frozenset({"jump", "silence"}), "meter.implausible", "uncertain"),
    (frozenset({"jump"}), "meter.implausible", "likely"),
    (frozenset({"backward"}), "meter.implausible", "likely"),
    (frozenset({"meter_number_same", "near_zero"}), "meter.reset", "certain"),
    (frozenset({"meter_number_same"}), "meter.reset", "uncertain"),  # set to another number
    (frozenset({"unit_changed"}), "meter.exchanged", "likely"),
    (frozenset({"silence", "near_zero"}), "meter.replaced_or_reset", "uncertain"),
    (frozenset({"silence"}), "meter.exchanged", "likely"),
    (frozenset({"near_zero"}), "meter.reset", "likely"),
    (frozenset(), "meter.replaced_or_reset", "uncertain"),
)
KINDS = tuple(dict.fromkeys(kind for _, kind, _ in _FINDINGS))


def another(old: Shown, new: Shown) -> bool:
    """Two meter numbers that differ; one not known says nothing."""
    return None not in (old.identity, new.identity) and old.identity != new.identity


def follows(old: Shown, new: Shown, most: float) -> bool:
    """The same meter, no more than `most` on; a last digit that flickers is no drop."""
    if another(old, new):
        return False
    step = max(old.step, new.step)
    return -step <= EXACT.subtract(new.exact, old.exact) <= Decimal(most) + step


def find(gap: Break) -> Finding:
    """What a confirmed break is."""
    rolled, back = _rolled(gap), _back(gap)
    evidence = _evidence(gap, rolled=rolled is not None, backward=back is not None)
    kind, verdict = next((kind, sure) for needed, kind, sure in _FINDINGS if needed <= set(evidence))
    sums = {"meter.rolled_over": rolled, "meter.implausible": back, "meter.resumed": gap.resumed}
    counted = sums.get(kind)
    return Finding(kind, verdict, evidence, counted or Decimal(0))


def _evidence(gap: Break, *, rolled: bool, backward: bool) -> tuple[str, ...]:
    old, first = gap.old, gap.first
    told = gap.identity is not None and old.identity is not None
    marks = {
        "meter_number_changed": told and gap.identity != old.identity,
        "meter_number_same": told and gap.identity == old.identity,
        "unit_changed": first.unit is not old.unit,
        "silence": gap.silent,
        "near_zero": abs(first.exact) <= min(gap.little + gap.step, old.exact * _NEAR_ZERO),
        "rolled": rolled,
        "jump": first.unit is old.unit and gap.change >= 0,
        "backward": backward,
        "as_before": gap.resumed is not None,
    }
    return tuple(name for name, present in marks.items() if present)


def _back(gap: Break) -> Decimal | None:
    """The change (MJ or l, below 0) of a meter that counted back a little."""
    if gap.silent or gap.first.unit is not gap.old.unit or gap.change >= 0:
        return None
    most = min(gap.little + gap.step, gap.old.exact * _NEAR_ZERO)
    return gap.change if -gap.change <= most else None


def _rolled(gap: Break) -> Decimal | None:
    """What was counted (MJ or l) when the drop is a roll-over."""
    old, first, size = gap.old, gap.first, gap.first.rolls_over
    if size is None or first.unit is not old.unit:
        return None
    if not size * _TOP <= old.number < size or not 0 <= first.number <= size * _BOTTOM:
        return None
    distance = EXACT.add(EXACT.multiply(size, exact_factor(first.unit)[1]), gap.change)
    return distance if distance <= gap.could + gap.step else None
