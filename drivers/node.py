"""What a technician sees of a server's address space, and the profile lines it suggests. Pure data.

A value is shown, never used: what the service works with comes as a Reading by a profile.
"""

import re
from dataclasses import dataclass

from drivers.units import Unit

TYPES = ("Boolean", "Int16", "UInt16", "Int32", "UInt32", "Int64", "UInt64", "Float", "Double")
"""The types a profile can read; arrays, strings and structures it cannot."""

# What servers show as the unit of a variable (UNECE display names, and what PLC programmers write) -> ours.
_UNITS = {
    **{unit.value.lower(): unit for unit in Unit if unit not in (Unit.STATE, Unit.ONE)},
    "°c": Unit.CELSIUS,
    "℃": Unit.CELSIUS,
    "m³/h": Unit.CUBIC_METRE_PER_HOUR,
    "m³": Unit.CUBIC_METRE,
}


@dataclass(frozen=True, slots=True)
class Node:
    """One node, as far as the server told.

    `node_id` is valid for this session only (its namespace index may change with the next start of the
    server); `namespace` and `identifier` ("s=...", "i=...", "g=...", "b=...") are what a profile is made of.
    `type`, `value`, `status`, `timestamp` (Unix s of the source) belong to variables. `value` is None when it
    is Bad or not there; `status` is the server's own name ("Good", "BadSensorFailure"). `unit` is the text of
    EngineeringUnits (OPC 10000-8), None where there is none. `depth` counts from where the browse began.
    """

    depth: int
    parent: str | None
    node_id: str
    namespace: str
    identifier: str
    browse_name: str
    display_name: str
    kind: str
    type: str | None = None
    value: str | None = None
    status: str = ""
    timestamp: float | None = None
    writable: bool = False
    unit: str | None = None

    @property
    def usable(self) -> bool:
        """True when a profile can have this node as a register."""
        return self.kind == "Variable" and self.type in TYPES

    def profile_lines(self) -> tuple[str, ...]:
        """TOML of a register, () if not usable; `unit = "?"`, which no profile accepts, is for a person.

        The profile's [opcua] table must name this node's `namespace`. Limits and permission to write are a
        person's to give, so that none are suggested.
        """
        if not self.usable:
            return ()
        return (
            f"[registers.{_register(self.browse_name)}]  # {_one_line(self.display_name)}",
            f"identifier = {_quoted(self.identifier)}",
            f'type = "{self.type}"',
            f'unit = "{self._unit()}"',
        )

    def _unit(self) -> str:
        if self.type == "Boolean":
            return Unit.STATE.value
        known = _UNITS.get((self.unit or "").strip().lower())
        return "?" if known is None else known.value


def _register(name: str) -> str:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[^A-Za-z0-9]+", "_", name).strip("_").lower()
    if not words:
        return "register"
    return words if words[0].isalpha() else f"r_{words}"


def _quoted(text: str) -> str:
    """A basic string of TOML 1.0: quotes, backslashes and control characters escaped."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[\x00-\x1f\x7f]", lambda found: f"\\u{ord(found[0]):04x}", escaped) + '"'


def _one_line(text: str) -> str:
    return re.sub(r"[\x00-\x1f\x7f]+", " ", text)
