"""What may still come on a serial line, where answers carry no number. Pure: time is an argument.

A request that was not answered stays pending: its answer may come late, and any later request of the same
shape would take it for its own. Before such a request a FENCE goes first: a read of another length, whose
answer is thrown away. Devices answer in order; once the fence is answered nothing older can come.

A refusal has one shape for all requests of its function. So after trouble with a unit a refusal proves
nothing, and the request that it seemed to answer is pending, too.
"""

from drivers.modbus.registers import Span
from drivers.modbus.request import COILS, READS, Request, Shape

LATEST_ANSWER_S = 10.0  # an answer later than this is not expected from any device


class Fences:
    """Pending answers by unit, each with the time (s) of the trouble that began it."""

    def __init__(self) -> None:
        self._pending: dict[int, dict[Shape, float]] = {}
        self._trouble: dict[int, float] = {}

    def doubt(self, unit: int, shape: Shape, now: float) -> None:
        """An answer of this shape may still come, or come again."""
        self._trouble[unit] = now
        self._pending.setdefault(unit, {})[shape] = now

    def refused(self, unit: int, shape: Shape, now: float) -> None:
        """The unit refused: if it was in trouble before, that may have been an older refusal."""
        began = self._trouble.get(unit)
        if began is not None and now - began < LATEST_ANSWER_S:
            self._pending.setdefault(unit, {})[shape] = began

    def clear(self, unit: int) -> None:
        """Nothing older can come from this unit any more."""
        self._pending.pop(unit, None)
        self._trouble.pop(unit, None)

    def needed(self, request: Request, now: float) -> bool:
        """True when an older answer could be taken for the answer to `request`."""
        pending = self._pending.get(request.unit)
        if pending is None:
            return False
        for shape in [shape for shape, began in pending.items() if now - began > LATEST_ANSWER_S]:
            del pending[shape]
        if not pending:
            self.clear(request.unit)
        return request.shape in pending

    def fence(self, request: Request) -> Request:
        """A read whose answer is unlike all that are pending."""
        function = request.function if request.function in READS else 3
        taken = {echo for code, echo in self._pending.get(request.unit, {}) if code == function}
        step = 8 if function in COILS else 1  # the smallest that changes the byte count
        sizes = range(1, 126) if step == 1 else range(1, 251)
        count = next(n for n in sizes if bytes((n if step == 8 else 2 * n,)) not in taken) * step
        return Request.read(request.unit, Span(function, request.start, count))
