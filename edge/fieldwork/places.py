"""What a technician's words mean on this site: a bus, a device, a register of it, a point."""

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

from drivers import Unit
from edge.assembly import Fitted
from edge.fieldwork.access import Access, BusView
from edge.fieldwork.messages import FieldworkError
from edge.points import quantity


@dataclass(frozen=True, slots=True)
class Target:
    """Registers of one device; `point` where a point was asked for, else None."""

    bus: str
    device: Fitted
    registers: tuple[str, ...]
    point: str | None = None


def bus(access: Access, name: str) -> BusView:
    """The bus of that id."""
    if name not in access.buses:
        raise FieldworkError("unknown_bus", name=name, known=", ".join(access.buses) or "-")
    return access.buses[name]


def target(access: Access, words: str) -> Target:
    """A device, `device.register` or a point of the site; FieldworkError where there is no such thing."""
    devices = {
        fitted.setting.id: (view.id, fitted) for view in access.buses.values() for fitted in view.devices
    }
    for where, fitted in devices.values():
        if words in fitted.setting.points:
            return Target(where, fitted, (fitted.setting.points[words],), words)
    name, _, register = words.partition(".")
    if name not in devices:
        if name in access.buses:
            raise FieldworkError("a_bus", name=name)
        known = [*devices, *(p for _, fitted in devices.values() for p in fitted.setting.points)]
        raise FieldworkError("unknown_target", name=words, known=_nearest(words, known))
    where, fitted = devices[name]
    registers = fitted.profile.registers
    if not register:
        return Target(where, fitted, tuple(registers))
    if register not in registers:
        raise FieldworkError(
            "unknown_register", device=name, name=register, known=_nearest(register, registers)
        )
    return Target(where, fitted, (register,), _point_of(fitted, register))


def _point_of(fitted: Fitted, register: str) -> str | None:
    return next((point for point, name in fitted.setting.points.items() if name == register), None)


def output(target: Target) -> str | None:
    """The name of the service's output that this register is, whatever its name, or None."""
    registers = target.device.profile.registers
    wanted = _wire(registers[target.registers[0]], target.registers[0])
    outputs = ((p, r) for p, r in target.device.setting.points.items() if _is_output(p))
    return next((point for point, name in outputs if _wire(registers[name], name) == wanted), None)


def _is_output(point: str) -> bool:
    known = quantity(point)
    return known is not None and known.output


def wire(target: Target) -> str:
    """One text for all names of the register in its device."""
    name = target.registers[0]
    return f"{target.device.setting.id} {_wire(target.device.profile.registers[name], name)}"


def _wire(register: object, name: str) -> object:
    """Where a register lives: two names of a profile may mean the same place."""
    address = getattr(register, "address", None)
    return address if address is not None else getattr(register, "identifier", name)


def unit(target: Target, register: str) -> Unit:
    """The unit a value is shown and given in: the trade's for a point, else the register's own."""
    known = quantity(target.point) if target.point is not None else None
    return known.unit if known is not None else target.device.profile.registers[register].unit


def _nearest(word: str, known: Iterable[str]) -> str:
    names = list(known)
    close = difflib.get_close_matches(word, names, n=4, cutoff=0.5)
    return ", ".join(close or names[:8]) or "-"
