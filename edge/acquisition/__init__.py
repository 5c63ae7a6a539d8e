"""Acquisition: one task per bus reads what is due, writes what the cycle wants, and runs errands."""

from edge.acquisition.errands import Errands
from edge.acquisition.listeners import Listeners
from edge.acquisition.worker import BusWorker, PolledDevice

__all__ = ["BusWorker", "Errands", "Listeners", "PolledDevice"]
