"""`browse`: the tree of an OPC UA server, one node's children an exchange, with what a profile can use."""

from contextlib import aclosing

from drivers import Browsable, Driver, Node
from edge.fieldwork import places
from edge.fieldwork.access import Access
from edge.fieldwork.messages import Asked, FieldworkError, Message, Stream, note
from edge.records import Event, Plain

_DEEPEST = 10
_MOST_CHILDREN = 1000
_MOST = 5000  # nodes of one answer


async def browse(access: Access, asked: Asked, who: str) -> Stream:
    """Node messages, parents first."""
    view = places.bus(access, asked.text("bus"))
    start = asked.text("node") if asked.has("node") else None
    depth = asked.whole("depth", 1, _DEEPEST, 2)
    if asked.has("trust"):
        yield await _trust(access, view.id, asked.text("trust"), who)
    if asked.flag("thumbprint"):
        yield await _ours(access, view.id)
    waiting: list[tuple[Node, int]] = []
    seen: set[tuple[str, str]] = set()
    told = 0
    node, level = start, 0
    while True:
        children = await _children(access, view.id, node)
        fresh = [each for each in children if (each.namespace, each.identifier) not in seen]
        seen |= {(each.namespace, each.identifier) for each in fresh}
        waiting[:0] = [(each, level) for each in fresh]
        while waiting:
            found, level = waiting.pop(0)
            yield _message(found, level)
            told += 1
            if told >= _MOST:
                yield note("more_nodes", count=_MOST)
                return
            if level + 1 < depth and found.kind != "Method" and (start or not _is_housekeeping(found)):
                node, level = f"nsu={found.namespace};{found.identifier}", level + 1
                break
        else:
            return


async def _ours(access: Access, bus: str) -> Message:
    """Our certificate, by which the server is to know us; of the server's, connecting says what is wrong."""

    async def job(driver: Driver) -> str | None:
        if not isinstance(driver, Browsable):
            raise FieldworkError("cannot_browse", bus=bus)
        return await driver.certificate()

    found = await access.run(bus, job)
    return note("insecure") if found is None else note("our_certificate", sha256=found)


async def _trust(access: Access, bus: str, sha256: str, who: str) -> Message:
    """The server with this certificate is believed from now on; the journal says who decided it."""

    async def job(driver: Driver) -> str:
        if not isinstance(driver, Browsable):
            raise FieldworkError("cannot_browse", bus=bus)
        return await driver.trust(sha256)

    name = await access.run(bus, job)
    now = access.now()
    body: dict[str, Plain] = {"who": who, "name": name, "sha256": sha256}
    await access.record(Event("technician.trust", bus, now, now, body))
    return note("trusted", name=name)


def _is_housekeeping(node: Node) -> bool:
    """The server's own affairs, the same everywhere (OPC 10000-5): shown where somebody names them."""
    return node.namespace == "http://opcfoundation.org/UA/"


async def _children(access: Access, bus: str, node: str | None) -> list[Node]:
    async def job(driver: Driver) -> list[Node]:
        if not isinstance(driver, Browsable):
            raise FieldworkError("cannot_browse", bus=bus)
        async with aclosing(driver.browse(node, 1, _MOST_CHILDREN)) as nodes:
            return [each async for each in nodes]

    return await access.run(bus, job)


def _message(node: Node, level: int) -> Message:
    return {
        "kind": "node",
        "depth": level,
        "namespace": node.namespace,
        "identifier": node.identifier,
        "node": node.node_id,
        "name": node.display_name or node.browse_name,
        "class": node.kind,
        "type": node.type,
        "value": node.value,
        "status": node.status,
        "writable": node.writable,
        "unit": node.unit,
        "lines": list(node.profile_lines()),
    }
