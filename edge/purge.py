"""Removes rows that are old enough and safe elsewhere, from the beginning of the record up to a checkpoint.

What stays says what went: a row `journal.purged` (its last number, its hash, how many rows) is recorded in
the same transaction, and the checkpoint at the boundary keeps the tree, so that all newer checkpoints, and
every receipt of a newer row, go on to verify.
"""

from dataclasses import dataclass

import apsw

from edge.chain import Draft, Entry, Head
from edge.clock import ClockState, Instant
from edge.merkle import Frontier
from edge.notary import PURGED, ROTATED
from edge.records import Plain
from edge.tables import Base, base, blob, put_base

MOST_ROWS = 2000  # a call, so that nobody waits long: more than a busy day records
LEAST_S = 30 * 86400.0  # whatever is asked for, younger rows stay

_WITHIN = "select max(seq) from (select seq from rows order by seq limit ?)"
_OLD = "select seq from rows where seq <= ?1 and clock_state <> ?2 and wall_ns < ?3 order by seq desc limit 1"
_YOUNG = "select seq from rows where seq <= ?1 and clock_state <> ?2 and wall_ns >= ?3 order by seq limit 1"
_BOUNDARY = """
select c.seq, r.hash, c.size, c.frontier from checkpoints c join rows r on r.seq = c.seq
where c.seq <= ?1 and r.kind <> ?2 order by c.size desc limit 1
"""


@dataclass(frozen=True, slots=True)
class Purged:
    """How many rows went, and the number of the last of them (0 when none did). `more`: ask again."""

    rows: int = 0
    last_seq: int = 0
    more: bool = False


def boundary(
    connection: apsw.Connection, now: Instant, retention_s: float, receipt: int, before: int | None
) -> Base | None:
    """Where the rows may begin instead, at most MOST_ROWS further on; None when nothing may go.

    A row was written before every later one: it is old enough when a later row with a clock that was set is,
    and none before that is younger. With a clock that was never set nothing goes. The rows never begin after
    one of a new key: without it, nobody could tell why the next checkpoint has another signer.
    """
    if now.state is ClockState.UNSYNCED:
        return None
    begin = base(connection)
    within = connection.execute(_WITHIN, (MOST_ROWS,)).get
    limits = [receipt, *([] if before is None else [before - 1])]
    cutoff = int((now.wall - max(retention_s, LEAST_S)) * 1e9)
    dated = (within or 0, ClockState.UNSYNCED.value, cutoff)
    old, young = connection.execute(_OLD, dated).get, connection.execute(_YOUNG, dated).get
    upto = min(old or 0, *limits, *([] if young is None else [young - 1]))
    found = connection.execute(_BOUNDARY, (upto, ROTATED)).fetchone()
    if found is None or found[0] <= begin.head.seq:
        return None
    seq, value, size, frontier = found
    first = begin.log or blob(connection.execute("select hash from rows order by seq limit 1").get)
    return Base(Head(seq, blob(value)), Frontier.unpacked(size, frontier), first)


def told(begin: Base, end: Base, now: Instant) -> Draft:
    """The row that says what was removed between `begin` and `end`."""
    body: dict[str, Plain] = {
        "after_seq": begin.head.seq,
        "last_seq": end.head.seq,
        "last_hash": end.head.hash.hex(),
        "rows": end.tree.size - begin.tree.size,
        "size": end.tree.size,
        "root": end.tree.root.hex(),
        "log": end.log.hex(),
        "occurred": now.wall,
        "detected": now.wall,
    }
    return Draft.of(Entry(PURGED, "journal", body))


def remove(connection: apsw.Connection, end: Base) -> None:
    """Take the rows and their checkpoints away; the caller holds the transaction."""
    connection.execute("delete from rows where seq <= ?", (end.head.seq,))
    connection.execute("delete from checkpoints where size < ?", (end.tree.size,))
    connection.execute("delete from newest where kind <> '' and seq <= ?", (end.head.seq,))
    put_base(connection, end)
