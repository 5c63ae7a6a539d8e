"""Acquisition: one task per bus reads what is due, writes what the cycle wants, and runs errands."""

from edge.acquisition.device import PolledDevice
from edge.acquisition.listeners import Listeners
from edge.acquisition.settings import Guard, Input, Output
from edge.acquisition.worker import BusWorker

__all__ = ["BusWorker", "Guard", "Input", "Listeners", "Output", "PolledDevice"]
