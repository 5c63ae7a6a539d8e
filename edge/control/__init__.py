"""Control: `decide` turns a process image into commands. Pure; imports no clock, no I/O, no sibling room."""

from edge.control.decide import Decision, decide
from edge.control.state import ControlState, from_plain, initial, to_plain

__all__ = ["ControlState", "Decision", "decide", "from_plain", "initial", "to_plain"]
