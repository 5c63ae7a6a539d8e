"""The browser: what a technician sees of a server, and the profile lines it suggests for it."""

import contextlib
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import cast

import pytest
from asyncua import ua
from asyncua.ua.object_ids import ObjectIds

from drivers import (
    Browsable,
    ConfigurationError,
    DeviceError,
    DeviceSetting,
    Driver,
    Node,
    OpcUaBus,
    Point,
    Unit,
)
from drivers import open_driver as opened
from drivers.opcua.browse import browse
from drivers.opcua.session import Session
from drivers.profile import parse_profile
from drivers.tests.plc import NAMESPACE, Plc, serving_plc
from drivers.tests.profiles import make_profile


@dataclass(frozen=True)
class Tree:
    """Station > {temperature, name, door, curve, Pump > speed, Pump > Station (a circle)}."""

    plc: Plc
    station: str


@pytest.fixture(scope="module")
def tree() -> Iterator[Tree]:
    with serving_plc(extra_namespaces=2) as plc:
        station = plc.folder("Station")
        plc.put("Set", 10.0)
        plc.variable(station, "i=1001", "SupplyTemperature", ua.Variant(45.1, ua.VariantType.Float), "°C")
        plc.variable(station, 's="DB"."door"', "door", ua.Variant(True, ua.VariantType.Boolean))
        plc.variable(station, "s=Name", "Name", ua.Variant("Nord " * 40, ua.VariantType.String))
        plc.variable(station, "s=Curve", "Curve", ua.Variant([1.0, 2.0], ua.VariantType.Double))
        pump = plc.folder("Pump", station)
        plc.variable(pump, "s=Speed", "Speed", ua.Variant(1450, ua.VariantType.UInt16), "U/min")
        plc.link(station, pump)
        yield Tree(plc, station)


def alone(plc: Plc) -> Driver:
    return opened(OpcUaBus(plc.url, insecure=True, timeout_s=2.0), [], time.time)


async def seen(driver: Driver, node: str | None = None, depth: int = 1, limit: int = 1000) -> list[Node]:
    assert isinstance(driver, Browsable)
    async with contextlib.aclosing(driver.browse(node, depth, limit)) as found:
        return [each async for each in found]


async def test_without_any_device_the_folders_of_a_server_are_seen(tree: Tree) -> None:
    async with alone(tree.plc) as driver:
        names = {node.browse_name for node in await seen(driver)}
    assert {"Server", "Station", "Set"} <= names


async def test_a_variable_comes_with_type_value_status_stamp_unit_and_right(tree: Tree) -> None:
    async with alone(tree.plc) as driver:
        nodes = {node.browse_name: node for node in await seen(driver, tree.station)}
        (setpoint,) = [n for n in await seen(driver) if n.browse_name == "Set"]
    found = nodes["SupplyTemperature"]
    assert (found.type, found.value, found.status, found.unit) == ("Float", "45.1", "Good", "°C")
    assert (found.namespace, found.identifier, found.writable) == (NAMESPACE, "i=1001", False)
    assert (found.depth, found.parent, found.kind) == (1, tree.station, "Variable")
    assert (nodes["Curve"].type, nodes["Curve"].usable) == ("Double[]", False)
    assert len(nodes["Name"].value or "") == 80
    assert (nodes["Pump"].kind, nodes["Pump"].type) == ("Object", None)
    assert (setpoint.writable, setpoint.timestamp) == (True, 1_700_000_000.0)


async def test_a_bad_value_is_shown_by_its_status_and_not_as_a_value(tree: Tree) -> None:
    tree.plc.put("Broken", 12.0, status=0x808C0000)
    async with alone(tree.plc) as driver:
        (broken,) = [n for n in await seen(driver) if n.browse_name == "Broken"]
    assert (broken.value, broken.status, broken.type) == (None, "BadSensorFailure", "Float")


async def test_parents_come_first_and_a_circle_has_an_end(tree: Tree) -> None:
    async with alone(tree.plc) as driver:
        nodes = await seen(driver, tree.station, depth=9)
    assert [(n.depth, n.browse_name) for n in nodes if n.browse_name in ("Pump", "Speed")] == [
        (1, "Pump"),
        (2, "Speed"),
    ]
    assert "Station" not in [n.browse_name for n in nodes]
    assert next(n for n in nodes if n.browse_name == "Speed").parent == nodes[-2].node_id


@pytest.mark.parametrize("limit", [0, 1, 3])
async def test_no_more_nodes_than_asked_for(tree: Tree, limit: int) -> None:
    async with alone(tree.plc) as driver:
        assert len(await seen(driver, None, depth=5, limit=limit)) == limit
        assert await seen(driver, None, depth=0) == []


async def test_a_node_is_named_by_index_or_by_uri_and_a_wrong_name_is_told(tree: Tree) -> None:
    identifier = tree.station.partition(";")[2]
    async with alone(tree.plc) as driver:
        by_uri = await seen(driver, f"nsu={NAMESPACE};{identifier}")
        assert by_uri == await seen(driver, tree.station)
        for wrong in ("nsu=urn:nobody;i=1", "ns=x;i=1", "ns=99;i=1", "ns=-1;i=1", "i=x"):
            with pytest.raises(ConfigurationError, match="no node"):
                await seen(driver, wrong)
        with pytest.raises(DeviceError, match="BadNodeId"):
            await seen(driver, "ns=2;s=Nothing")


async def test_browsing_goes_on_beside_the_reading_of_a_running_driver(tree: Tree) -> None:
    profile = make_profile(
        "opcua", {"set": {"identifier": "Set", "type": "Float", "unit": "%"}}, namespace=NAMESPACE
    )
    bus = OpcUaBus(tree.plc.url, insecure=True, timeout_s=2.0)
    async with opened(bus, [DeviceSetting("plc", profile)], time.time) as driver:
        assert isinstance(driver, Browsable)
        async with contextlib.aclosing(driver.browse(depth=3)) as found:
            async for node in found:
                values = await driver.read([Point("set", "plc", "set", Unit.PERCENT)])
                assert values["set"].value == 10.0
                if node.depth == 2:
                    break


async def test_what_is_suggested_is_a_profile_once_a_person_has_given_the_units(tree: Tree) -> None:
    async with alone(tree.plc) as driver:
        nodes = await seen(driver, tree.station, depth=2)
    lines = [line for node in nodes for line in node.profile_lines()]
    text = "\n".join(lines)
    assert "[registers.supply_temperature]  # SupplyTemperature" in lines
    assert 'unit = "degC"' in lines
    assert text.count('unit = "?"') == 1  # U/min: nothing the service knows
    data = tomllib.loads(text.replace('"?"', '"1"'))
    header = {"id": "p", "maker": "m", "model": "m", "protocol": "opcua", "source": "s", "confidence": "own"}
    profile = parse_profile(data | {"profile": header, "opcua": {"namespace": NAMESPACE}}, "browser")
    assert set(profile.registers) == {"supply_temperature", "door", "speed"}
    bus = OpcUaBus(tree.plc.url, insecure=True, timeout_s=2.0)
    async with opened(bus, [DeviceSetting("plc", profile)], time.time) as driver:
        points = [
            Point("t", "plc", "supply_temperature", Unit.CELSIUS),
            Point("d", "plc", "door", Unit.STATE),
        ]
        values = await driver.read(points)
    assert [values["t"].value, values["d"].value] == [pytest.approx(45.1), 1.0]


@pytest.mark.parametrize(
    ("name", "register"),
    [("T_supply.1", "t_supply_1"), ("2ndPump", "r_2nd_pump"), ("供水温度", "register"), ("a\nb", "a_b")],
)
def test_a_name_becomes_one_that_profiles_allow(name: str, register: str) -> None:
    node = Node(1, None, "ns=2;s=x", NAMESPACE, 's=a"\\\nb', name, name, "Variable", "Float")
    assert node.profile_lines()[0].startswith(f"[registers.{register}]")
    assert "\n" not in "".join(node.profile_lines())
    assert tomllib.loads(node.profile_lines()[1]) == {"identifier": 's=a"\\\nb'}


@dataclass
class Pages:
    """A server that tells its references two at a time, and must get every continuation point back."""

    total: int
    open: set[bytes] = field(default_factory=set)

    async def browse(self, params: ua.BrowseParameters) -> list[ua.BrowseResult]:
        return [self._page(0)]

    async def browse_next(self, params: ua.BrowseNextParameters) -> list[ua.BrowseResult]:
        (point,) = params.ContinuationPoints
        self.open.remove(point)
        return [] if params.ReleaseContinuationPoints else [self._page(int(point))]

    def _page(self, start: int) -> ua.BrowseResult:
        end = min(start + 2, self.total)
        references = [
            ua.ReferenceDescription(
                ReferenceTypeId=ua.NodeId(ua.Int32(ObjectIds.Organizes), ua.Int16(0)),
                NodeId=ua.ExpandedNodeId(ua.Int32(1000 + n), ua.Int16(0)),
                BrowseName=ua.QualifiedName(f"N{n}", ua.UInt16(0)),
                NodeClass=ua.NodeClass.Object,
            )
            for n in range(start, end)
        ]
        point = str(end).encode() if end < self.total else None
        if point is not None:
            self.open.add(point)
        return ua.BrowseResult(ContinuationPoint=point, References=references)


@pytest.mark.parametrize(("limit", "told"), [(1000, 7), (7, 7), (3, 3), (2, 2), (1, 1)])
async def test_pages_are_joined_and_every_continuation_point_is_given_back(limit: int, told: int) -> None:
    pages = Pages(7)

    async def attributes(wanted: object) -> list[ua.DataValue]:
        return []

    session = SimpleNamespace(
        services=pages, namespaces=["urn:0"], url="opc.tcp://h:1", attributes=attributes
    )
    nodes = [node async for node in browse(cast(Session, session), None, 1, limit)]
    assert [node.browse_name for node in nodes] == [f"N{n}" for n in range(told)]
    assert pages.open == set()
