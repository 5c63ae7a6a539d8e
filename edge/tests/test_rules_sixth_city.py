"""A city nobody has heard of, written as data alone: it works without a line of code."""

import ast
import re
from datetime import date
from pathlib import Path

import edge.rules
from edge.records import Cause
from edge.rules.civil import HOUR_S
from edge.rules.duties import duties
from edge.rules.facts import OutageFacts, Phase, RoomDay
from edge.rules.judge import Outcome
from edge.rules.pack import load_pack, required_parameters
from edge.rules.refund import RefundKind, refund_basis
from edge.rules.repair import repair_class
from edge.rules.reports import report_cadence
from edge.rules.rooms import room_verdict
from edge.rules.season import season_phase
from edge.tests.rules_stories import readings, wall

CITED = 'words = "第一条"\ngloss = "As the test has it."\n'
SIXTH = f"""
silent = [
  "preparation", "pass_rate", "sampling", "room_check", "settlement", "retention", "severe_cold", "metering"
]

[document]
id = "sixth-2030"
title = "第六市供热办法"
title_en = "Measures of a sixth city"
number = "第1号"
issuer = "第六市人民政府"
prefix = "SX"

[validity]
words = "自2030年1月1日起施行"
gloss = "In force from 1 January 2030."
from = 2030-01-01
to = "open"

[season]
clause = "SX-1"
{CITED}
start = "12-01"
end = "02-29"

[room]
threshold_c = 20.0
day_value = "lowest"
clause = "SX-2"
{CITED}

[[duties]]
id = "call_the_mayor"
recipient = "authority"
clause = "SX-3(1)"
{CITED}
trigger = {{ on = "sudden", hours = 5, boundary = "more_than" }}
deadline = {{ urgency = "within", hours = 7 }}
contents = ["cause"]

[repair]
clause = "SX-4"
{CITED}
not_for = [{{ cause = "source" }}]

[[repair.classes]]
key = "small"
recoverable_within_h = 2
deadline_h = 3
clause = "SX-4"
{CITED}

[[repair.classes]]
key = "great"
deadline_h = 30
clause = "SX-4"
{CITED}

[refund_room]
kind = "bands"
day_value_parameter = "which_value"
supplier_fault = false
clause = "SX-5"
{CITED}

[[refund_room.bands]]
from_c = 14.0
below_c = 20.0
share = 0.3
clause = "SX-5"
{CITED}

[[refund_room.bands]]
below_c = 14.0
share = 0.9
clause = "SX-5.1"
{CITED}

[refund_outage]
kind = "by_hour"
after_h = 3
boundary = "at_least"
share = 0.5
supplier_fault = false
clause = "SX-6"
{CITED}

[[exemptions]]
id = "source"
by_cause = {{ cause = "source" }}
covers = ["outage"]
clause = "SX-6(2)"
{CITED}

[[reports]]
cadence = "week"
clause = "SX-7"
{CITED}

[[parameters]]
name = "which_value"
kind = "choice"
choices = ["lowest", "mean"]
topic = "refund_room"
clause = "SX-5"
gloss = "Which temperature of a day."
"""


def outage(cause: Cause, hours: float) -> OutageFacts:
    start = wall("2032-01-10 02:00")
    return OutageFacts("o", "high", start, start, cause, ended_at=start + hours * HOUR_S)


def test_a_sixth_city_needs_data_only(tmp_path: Path) -> None:
    path = tmp_path / "sixth-2030.toml"
    path.write_text(SIXTH, encoding="utf-8")
    sixth = load_pack(path)
    assert [one.name for one in required_parameters(sixth)] == ["which_value"]
    sixth = sixth.bind({"which_value": "lowest"})

    assert season_phase(sixth, date(2032, 2, 29)).phase is Phase.SEASON
    assert season_phase(sixth, date(2033, 2, 28)).phase is Phase.SEASON  # no 29th: the 28th is the last day
    assert season_phase(sixth, date(2033, 3, 1)).phase is Phase.OFF

    six = outage(Cause.EQUIPMENT, 6.0)
    (duty,) = duties(sixth, six, six.lost_at + 6 * HOUR_S)
    assert (duty.id, duty.clause, duty.due) == ("call_the_mayor", "SX-3(1)", six.lost_at + 7 * HOUR_S)
    assert duties(sixth, outage(Cause.EQUIPMENT, 5.0), six.lost_at) == ()

    verdict = repair_class(sixth, six, six.lost_at)
    assert (verdict.key, verdict.due) == ("great", six.lost_at + 30 * HOUR_S)
    assert repair_class(sixth, outage(Cause.SOURCE, 6.0), six.lost_at).reason == "not_an_accident"

    basis = refund_basis(sixth, outage(Cause.POWER, 3.0))
    assert (basis.kind, basis.quantity, basis.share, basis.clauses) == (
        RefundKind.BY_HOUR,
        3.0,
        0.5,
        ("SX-6",),
    )
    assert refund_basis(sixth, outage(Cause.SOURCE, 3.0)).clauses == ("SX-6", "SX-6(2)")

    day = date(2032, 1, 10)
    cold = room_verdict(sixth, RoomDay("r", day, readings(day, 13.9, 19.0)))
    assert (cold.outcome, cold.refund.share, cold.refund.clauses) == (Outcome.FAIL, 0.9, ("SX-5", "SX-5.1"))
    assert report_cadence(sixth, day).kind == "week"


JUDGING = (
    "judge",
    "duties",
    "repair",
    "refund",
    "threshold",
    "rooms",
    "room_refund",
    "planned",
    "sampling",
    "season",
)
OURS = {0, 1, 100, 0.25, 0.9}  # counting, per cent, and two figures of our own choice that say so


def test_no_figure_and_no_clause_of_a_document_stands_in_the_code() -> None:
    folder = Path(edge.rules.__file__).parent
    for name in JUDGING:
        nodes = list(ast.walk(ast.parse((folder / f"{name}.py").read_text(encoding="utf-8"))))
        values = [node.value for node in nodes if isinstance(node, ast.Constant)]
        figures = {value for value in values if isinstance(value, int | float)}
        words = [value for value in values if isinstance(value, str)]
        assert figures <= OURS, name
        assert [word for word in words if re.search(r"\b[A-Z]{2}-[0-9]", word)] == [], name
