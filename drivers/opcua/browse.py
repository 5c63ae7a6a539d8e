"""A server's address space for a technician's eyes: what is below a node, over a session that may be at work.

Folders, objects, variables and methods along hierarchical references (OPC 10000-3, 7.3), without properties:
the engineering unit is the one a technician needs, and stands beside its variable. Asks in blocks, gives
every continuation point back, and visits no node twice: a tree with circles has an end, too.
"""

from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from asyncua import ua
from asyncua.ua.attribute_ids import AttributeIds
from asyncua.ua.object_ids import ObjectIdNames, ObjectIds
from asyncua.ua.status_codes import StatusCodes

from drivers.errors import ConfigurationError, DeviceError
from drivers.node import Node
from drivers.opcua.faults import status_name, translated
from drivers.opcua.identifier import identifier_text
from drivers.opcua.session import BLOCK, Session, blocks, make_node

_CLASSES = ua.NodeClass.Object | ua.NodeClass.Variable | ua.NodeClass.Method
_HIDDEN = frozenset({ObjectIds.HasProperty, ObjectIds.HasSubtype})
_BAD = 2  # severity, the top two bits of a status code
_DOWN: Any = False  # asyncua's default is the way up, and its Boolean cannot be made
_WRITE = 1 << 1  # CurrentWrite of an access level (OPC 10000-3, 8.57)
_LONGEST = 80  # characters of a value that are shown
_PAGE = 500  # references asked for at once
_DETAILS = (AttributeIds.Value, AttributeIds.DataType, AttributeIds.UserAccessLevel)


async def browse(session: Session, start: str | None, depth: int, limit: int) -> AsyncGenerator[Node, None]:
    """The nodes below `start`, each parent before its children; see drivers.driver.Browsable."""
    root = parse_node(start or f"i={ObjectIds.ObjectsFolder}", session.namespaces)
    seen = {root}
    told = 0
    waiting = (
        [(node_id, node) for node_id, node in await _children(session, root, 1, limit)] if depth > 0 else []
    )
    waiting.reverse()
    while waiting and told < limit:
        node_id, node = waiting.pop()
        if node_id in seen:
            continue
        seen.add(node_id)
        told += 1
        yield node
        if node.depth < depth and told < limit:
            below = await _children(session, node_id, node.depth + 1, limit - told)
            waiting.extend(reversed(below))


def parse_node(text: str, namespaces: Sequence[str]) -> ua.NodeId:
    """A node id from `ns=3;s=...`, `nsu=<uri>;s=...` or `i=85`; ConfigurationError when it is none."""
    try:
        if text.startswith("nsu="):  # a URI may contain semicolons, too
            uri = max((u for u in namespaces if text.startswith(f"nsu={u};")), key=len, default=None)
            if uri is None:
                raise ValueError("it has no such namespace")
            return make_node(text[len(f"nsu={uri};") :], namespaces.index(uri))
        head, _, rest = text.partition(";")
        if not head.startswith("ns="):
            return make_node(text, 0)
        index = int(head[3:])
        if not 0 <= index < len(namespaces):
            raise ValueError(f"the namespaces go from 0 to {len(namespaces) - 1}")
        return make_node(rest, index)
    except ValueError as error:
        raise ConfigurationError(
            f"{text}: no node of this server ({error}): write ns=3;s=Name, nsu=<namespace>;s=Name or i=85"
        ) from error


Found = list[tuple[ua.NodeId, Node]]


async def _children(session: Session, parent: ua.NodeId, depth: int, limit: int) -> Found:
    with translated(session.url):
        references = await _references(session, parent, limit)
        found = [
            (node_id, _node(session, node_id, parent, reference, depth))
            for reference in references
            if (node_id := _local(session, reference.NodeId)) is not None
        ]
        return await _with_values(session, found)


async def _references(session: Session, parent: ua.NodeId, limit: int) -> list[ua.ReferenceDescription]:
    """What hangs below `parent`, `limit` at most; a continuation point that is not used up is given back."""
    what = ua.BrowseDescription(
        NodeId=parent,
        ReferenceTypeId=ua.NodeId(ua.Int32(ObjectIds.HierarchicalReferences), ua.Int16(0)),
        NodeClassMask=ua.UInt32(_CLASSES),
        ResultMask=ua.UInt32(ua.BrowseResultMask.All),
    )
    page = ua.BrowseParameters(
        NodesToBrowse=[what], RequestedMaxReferencesPerNode=ua.UInt32(min(limit, _PAGE))
    )
    (result,) = await session.services.browse(page)
    found: list[ua.ReferenceDescription] = []
    while True:
        result.StatusCode.check()
        found += [r for r in result.References or () if r.ReferenceTypeId.Identifier not in _HIDDEN]
        if not result.ContinuationPoint:
            return found[:limit]
        enough = len(found) >= limit
        more = ua.BrowseNextParameters(
            ReleaseContinuationPoints=enough, ContinuationPoints=[result.ContinuationPoint]
        )
        results = await session.services.browse_next(more)
        if enough:
            return found[:limit]
        (result,) = results


def _local(session: Session, target: ua.NodeId | ua.ExpandedNodeId) -> ua.NodeId | None:
    """The node id on this server; None for a node of another server, or of a namespace it does not name.

    asyncua makes a plain NodeId of one that bears neither server nor namespace URI.
    """
    if getattr(target, "ServerIndex", 0):
        return None
    index, uri = int(target.NamespaceIndex), getattr(target, "NamespaceUri", None)
    if uri:
        if uri not in session.namespaces:
            return None
        index = session.namespaces.index(uri)
    return ua.NodeId(target.Identifier, ua.Int16(index)) if index < len(session.namespaces) else None


def _node(
    session: Session, node_id: ua.NodeId, parent: ua.NodeId, reference: ua.ReferenceDescription, depth: int
) -> Node:
    return Node(
        depth=depth,
        parent=_text(parent),
        node_id=_text(node_id),
        namespace=session.namespaces[int(node_id.NamespaceIndex)],
        identifier=identifier_text(node_id.Identifier),
        browse_name=str(reference.BrowseName.Name or ""),
        display_name=str(reference.DisplayName.Text or reference.BrowseName.Name or ""),
        kind=ua.NodeClass(reference.NodeClass).name,
    )


def _text(node_id: ua.NodeId) -> str:
    return f"ns={int(node_id.NamespaceIndex)};{identifier_text(node_id.Identifier)}"


async def _with_values(session: Session, found: Found) -> Found:
    """The same nodes; variables with type, value, status, writability and unit."""
    places = [i for i, (_, node) in enumerate(found) if node.kind == "Variable"]
    variables = [found[i][0] for i in places]
    answers = await session.attributes([(v, attribute) for v in variables for attribute in _DETAILS])
    units = await _units(session, variables)
    for n, i in enumerate(places):
        value, kind, access = answers[3 * n : 3 * n + 3]
        node_id, node = found[i]
        found[i] = (node_id, _described(replace(node, unit=units[n]), value, kind, access))
    return found


def _described(node: Node, value: ua.DataValue, kind: ua.DataValue, access: ua.DataValue) -> Node:
    status = value.StatusCode.value if value.StatusCode is not None else 0
    variant = value.Value
    there = status >> 30 < _BAD and variant is not None and variant.Value is not None
    level = access.Value.Value if access.Value is not None else None
    stamp = value.SourceTimestamp
    return replace(
        node,
        type=_type(variant, kind),
        value=_shown(variant) if there and variant is not None else None,
        status=status_name(status),
        timestamp=None if stamp is None else _unix(stamp),
        writable=isinstance(level, int) and bool(level & _WRITE),
    )


def _type(variant: ua.Variant | None, kind: ua.DataValue) -> str:
    """The type on the wire, which a profile must give; where there is no value, what the server declares."""
    if variant is not None and variant.Value is not None:
        return f"{variant.VariantType.name}{'[]' if variant.is_array else ''}"
    declared = kind.Value.Value if kind.Value is not None else None
    if not isinstance(declared, ua.NodeId):
        return "?"
    known = ObjectIdNames.get(int(declared.Identifier)) if declared.NamespaceIndex == 0 else None
    return known or _text(declared)


def _shown(variant: ua.Variant) -> str:
    single = variant.VariantType is ua.VariantType.Float and isinstance(variant.Value, float)
    text = f"{variant.Value:.7g}" if single else str(variant.Value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def _unix(stamp: datetime) -> float:
    return (stamp if stamp.tzinfo else stamp.replace(tzinfo=UTC)).timestamp()


async def _units(session: Session, variables: Sequence[ua.NodeId]) -> list[str | None]:
    """The text of EngineeringUnits of each variable; None where there is none or the server cannot tell."""
    results: list[ua.BrowsePathResult] = []
    try:
        with translated(session.url):
            for block in blocks(variables, BLOCK):
                paths = [_unit_path(variable) for variable in block]
                results += await session.services.translate_browsepaths_to_nodeids(paths)
    except (
        DeviceError
    ):  # the service is optional (OPC 10000-4, 5.9.4): nodes without units are better than none
        return [None] * len(variables)
    nodes = [_target(session, result) for result in results]
    values = await session.attributes([(node, AttributeIds.Value) for node in nodes if node is not None])
    texts = iter([_unit_text(value) for value in values])
    return [None if node is None else next(texts) for node in nodes]


def _target(session: Session, result: ua.BrowsePathResult) -> ua.NodeId | None:
    good = result.StatusCode.value == StatusCodes.Good and result.Targets
    return _local(session, result.Targets[0].TargetId) if good else None


def _unit_text(value: ua.DataValue) -> str | None:
    unit = value.Value.Value if value.Value is not None else None
    text: str | None = unit.DisplayName.Text if isinstance(unit, ua.EUInformation) else None
    return text


def _unit_path(variable: ua.NodeId) -> ua.BrowsePath:
    step = ua.RelativePathElement(
        ReferenceTypeId=ua.NodeId(ua.Int32(ObjectIds.HasProperty), ua.Int16(0)),
        IsInverse=_DOWN,
        TargetName=ua.QualifiedName("EngineeringUnits", ua.UInt16(0)),
    )
    return ua.BrowsePath(StartingNode=variable, RelativePath=ua.RelativePath(Elements=[step]))
