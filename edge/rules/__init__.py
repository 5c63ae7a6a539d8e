"""The rules: a regulation pack and facts give duties, verdicts and refund bases, each with its clause. Pure.

The face of this room: what others import of it.
"""

from edge.rules.duties import Duty, DutyState, Raised, duties
from edge.rules.facts import Expectation, OutageFacts, Phase, RoomDay, RoomPlace, SeasonSetting, UsageRates
from edge.rules.judge import Outcome
from edge.rules.pack import NotInForceError, Pack, PackError, Problem, load_pack, required_parameters
from edge.rules.planned import PlannedVerdict, planned_verdict
from edge.rules.refund import RefundBasis, RefundKind, refund_basis
from edge.rules.repair import RepairVerdict, repair_class
from edge.rules.reports import Cadence, report_cadence
from edge.rules.room_refund import RoomRefundShare, refund_band
from edge.rules.rooms import PassShare, RoomVerdict, pass_share, room_verdict
from edge.rules.sampling import Coverage, sample_coverage
from edge.rules.season import (
    Milestone,
    SeasonPhase,
    early_end_clause,
    milestones,
    room_check_due,
    season_phase,
    settlement_due,
)
from edge.rules.threshold import Threshold, room_threshold

__all__ = [
    "Cadence",
    "Coverage",
    "Duty",
    "DutyState",
    "Expectation",
    "Milestone",
    "NotInForceError",
    "OutageFacts",
    "Outcome",
    "Pack",
    "PackError",
    "PassShare",
    "Phase",
    "PlannedVerdict",
    "Problem",
    "Raised",
    "RefundBasis",
    "RefundKind",
    "RepairVerdict",
    "RoomDay",
    "RoomPlace",
    "RoomRefundShare",
    "RoomVerdict",
    "SeasonPhase",
    "SeasonSetting",
    "Threshold",
    "UsageRates",
    "duties",
    "early_end_clause",
    "load_pack",
    "milestones",
    "pass_share",
    "planned_verdict",
    "refund_band",
    "refund_basis",
    "repair_class",
    "report_cadence",
    "required_parameters",
    "room_check_due",
    "room_threshold",
    "room_verdict",
    "sample_coverage",
    "season_phase",
    "settlement_due",
]
