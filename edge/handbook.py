"""The alarms as a page to read: the table of states and the table of rows, in Markdown.

`docs/alarms.md` is this text (`python -m edge.handbook > docs/alarms.md`); a test holds the two together.
"""

from collections.abc import Iterator
from typing import Any

from edge.events.alarm_states import printed
from edge.events.alarms import ROWS, Row, Seconds
from edge.events.board import CHATTER_RAISES, FLOOD_BEGINS, FLOOD_ENDS, MOST_SHELVED_S, WINDOW_S
from edge.texts import Texts


def pages(zh: Texts, en: Texts) -> Iterator[str]:
    """All lines."""
    figures = {
        "window": round(WINDOW_S / 60),
        "chatter": CHATTER_RAISES,
        "begins": FLOOD_BEGINS,
        "ends": FLOOD_ENDS,
        "hours": round(MOST_SHELVED_S / 3600),
    }
    yield "# 报警 · Alarms"
    for part in ("intro", "states"):
        for texts in (zh, en):
            yield from ("", texts(f"handbook.{part}", **figures))
    yield from ("", *printed(), "")
    for texts in (zh, en):
        yield from (texts("handbook.limits", **figures), "")
    for texts in (zh, en):
        yield from (texts("handbook.rows"), "")
    yield "| key | 优先级 priority | 报警 alarm | 延时 entry / exit (s) | 锁存 latched | 抑制 inhibits |"
    yield "|---|---|---|---|---|---|"
    for row in sorted(ROWS.values(), key=lambda each: (each.priority, each.key)):
        yield _row(row, zh, en)
    for texts in (zh, en):
        yield from ("", texts("handbook.actions"), "")
        yield from (
            f"- **{texts('alarm.' + key)}**: {texts('alarm.' + key + '.action')}" for key in sorted(ROWS)
        )


def _row(row: Row[Any], zh: Texts, en: Texts) -> str:
    name = f"alarm.{row.key}"
    inhibits = ", ".join(f"`{key}`" for key in row.inhibits) or "·"
    entry = f"{row.entry.delay_s:g}" if isinstance(row.entry, Seconds) else en(f"handbook.entry.{row.key}")
    cells = (
        f"`{row.key}`",
        str(row.priority),
        f"{zh(name)} {en(name)}",
        f"{entry} / {row.exit_s:g}",
        "yes" if row.latched else "·",
        inhibits,
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    print("\n".join(pages(Texts.load("zh"), Texts.load("en"))))
