"""The reference head-end (`substation-edge receive`): checks, stores once, answers with receipts."""

from edge.receiver.comparison import Difference, Kind, compare
from edge.receiver.service import Counts, Receiver

__all__ = ["Counts", "Difference", "Kind", "Receiver", "compare"]
