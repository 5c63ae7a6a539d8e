"""The station's PLC as a process: OPC UA variables with source time stamps and status codes, on asyncua's
server.

`python -m hil_tests.plc --board FILE --parent PID`. One node a point under `urn:substation-edge:plc`, Float
or Boolean, named as config/profiles/station_plc.toml has it. A broken sensor is BadSensorFailure. The stamp
is the simulated time of the scan.
"""

import argparse
import asyncio
import logging
import math
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

from asyncua import ua
from asyncua.server.server import Server
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.status_codes import StatusCodes

from hil_tests.blackboard import Blackboard
from hil_tests.child import die_with_parent, report_ready
from hil_tests.devices.wiring import PLC_POINTS, plc_identifier

NAMESPACE = "urn:substation-edge:plc"
_BOOLEANS = frozenset({"station.mains_power", "station.door"})
_REFRESH_S = 3.0  # simulated: an unchanged value gets a new stamp this often, well before it counts as stale
_SCAN_S = 1.0  # simulated
_FASTEST_SCAN_S = 1.0 / 30.0  # real
_GOOD = ua.StatusCode(ua.UInt32(StatusCodes.Good))
_BROKEN = ua.StatusCode(ua.UInt32(StatusCodes.BadSensorFailure))
_WAITING = ua.StatusCode(ua.UInt32(StatusCodes.BadWaitingForInitialData))


@dataclass(slots=True)
class Tag:
    """A node and what it was last given."""

    node: ua.NodeId
    slot: str
    boolean: bool
    last: float | None = None
    written: float = -math.inf  # simulated s

    def due(self, value: float, now: float) -> bool:
        """True when the node must be written: changed, or its stamp has grown old. NaN equals NaN here."""
        last = self.last
        same = last is not None and (value == last or (math.isnan(value) and math.isnan(last)))
        return not same or now - self.written >= _REFRESH_S

    def variant(self, value: float) -> ua.Variant:
        """The value in the node's own type; infinity on the blackboard is NaN with status Good."""
        if self.boolean:
            return ua.Variant(value != 0.0, ua.VariantType.Boolean)
        return ua.Variant(value if math.isfinite(value) else math.nan, ua.VariantType.Float)


async def _build(server: Server) -> list[Tag]:
    index = await server.register_namespace(NAMESPACE)
    folder = await server.nodes.objects.add_folder(index, "Station")
    tags = []
    for point in PLC_POINTS:
        identifier, boolean = plc_identifier(point), point in _BOOLEANS
        node_id = ua.NodeId(ua.String(identifier), ua.Int16(index))
        kind = ua.VariantType.Boolean if boolean else ua.VariantType.Float
        node = await folder.add_variable(node_id, identifier, False if boolean else 0.0, kind)
        await node.write_value(ua.DataValue(ua.Variant(None), _WAITING))
        tags.append(Tag(node.nodeid, point, boolean))
    return tags


async def _scan(server: Server, tags: list[Tag], board: Blackboard) -> None:
    """Write what has changed, straight into the address space."""
    now = board.get("plant.time")
    if math.isnan(now):
        return
    stamp = ua.DateTime.fromtimestamp(board.origin()[0] + now, UTC)
    space = server.iserver.aspace
    for tag in tags:
        value = board.get(tag.slot)
        if not tag.due(value, now):
            continue
        broken = math.isnan(value)
        tag.last, tag.written = value, now
        await space.write_attribute_value(
            tag.node,
            AttributeIds.Value,
            ua.DataValue(
                ua.Variant(None) if broken else tag.variant(value),
                _BROKEN if broken else _GOOD,
                SourceTimestamp=stamp,
                ServerTimestamp=stamp,
            ),
        )


async def _serve(board: Blackboard) -> None:
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0/plc")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    tags = await _build(server)
    async with server:
        assert server.bserver is not None
        report_ready({"port": server.bserver.port})
        clock = await asyncio.to_thread(board.wait_for_clock)
        pause = max(_FASTEST_SCAN_S, _SCAN_S / clock.speed)
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            await _scan(server, tags, board)
            due = max(due + pause, loop.time())
            await asyncio.sleep(due - loop.time())


def main() -> None:
    """Be the PLC until killed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--board", type=Path, required=True)
    parser.add_argument("--parent", type=int, required=True)
    arguments = parser.parse_args()
    die_with_parent(arguments.parent)
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(_serve(Blackboard(arguments.board, owner="plc")))


if __name__ == "__main__":
    main()
