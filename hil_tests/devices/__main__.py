"""One simulated device as a process: `python -m hil_tests.devices KIND --board FILE --parent PID ...`."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hil_tests.blackboard import Blackboard
from hil_tests.child import die_with_parent, report_ready
from hil_tests.devices import wiring
from hil_tests.devices.actuator import Actuator
from hil_tests.devices.inverter import Inverter
from hil_tests.devices.meter import Meter
from hil_tests.devices.room_unit import RoomUnit
from hil_tests.devices.server import Device, Server, listen, open_serial


def _meter(board: Blackboard, unit: wiring.Unit) -> Device:
    return Meter(board, unit.serves)


def _actuator(board: Blackboard, unit: wiring.Unit) -> Device:
    return Actuator(board, unit.serves, unit.unit_id, wiring.RUNNING_TIME_S[unit.serves])


def _inverter(board: Blackboard, unit: wiring.Unit) -> Device:
    return Inverter(board, unit.serves)


def _room_unit(board: Blackboard, unit: wiring.Unit) -> Device:
    return RoomUnit(board, unit.serves)


_KINDS: Mapping[str, tuple[Sequence[wiring.Unit], Callable[[Blackboard, wiring.Unit], Device]]] = {
    "meter": (wiring.METERS, _meter),
    "actuator": (wiring.ACTUATORS, _actuator),
    "inverter": (wiring.INVERTERS, _inverter),
    "rooms": (wiring.ROOM_UNITS, _room_unit),
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=sorted(_KINDS))
    parser.add_argument("name", help="name of the unit, or `all` for a gateway with all units of the kind")
    parser.add_argument("--board", type=Path, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--serial", type=Path)
    parser.add_argument("--turnaround-s", type=float, default=0.002, help="from a request's end to the reply")
    parser.add_argument("--tcp", action="store_true")
    return parser.parse_args()


def main() -> None:
    """Serve one unit, or all of a kind behind a gateway, until killed."""
    arguments = _arguments()
    die_with_parent(arguments.parent)
    known, make = _KINDS[arguments.kind]
    units = [unit for unit in known if arguments.name in (unit.name, "all")]
    board = Blackboard(arguments.board, owner=arguments.name)
    listener = listen() if arguments.tcp else None
    server = Server(
        {unit.unit_id: make(board, unit) for unit in units},
        {unit.unit_id: (f"story.{unit.name}.silent", f"fault.{unit.name}.silent") for unit in units},
        board,
        open_serial(arguments.serial) if arguments.serial else None,
        listener,
        turnaround_s=arguments.turnaround_s,
        gateway=arguments.name == "all",
    )
    report_ready({"port": listener.getsockname()[1]} if listener else {})
    server.run(board.wait_for_clock())


if __name__ == "__main__":
    main()
