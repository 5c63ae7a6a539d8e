"""The Merkle tree of RFC 6962 (the same in RFC 9162), section 2.1: tree hash, incremental head, proofs. Pure.

An entry of our tree is the 32-byte chain hash of a row. The hash of a leaf is SHA-256(0x00, entry), that of a
node SHA-256(0x01, left, right); a tree of n > 1 entries is split at the largest power of two below n.

A `Frontier` is all that must be kept to let a tree grow: the roots of the full subtrees that its size is made
of, largest first, one for each 1 in the binary form of the size. It is 32 bytes for each, at most 2 kB.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DIGEST = 32  # bytes of SHA-256
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """Hash of a leaf."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash of a node over two others."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _folded(nodes: Iterable[bytes]) -> bytes:
    """Root over full subtrees, largest first; there is at least one."""
    from_right = reversed(tuple(nodes))
    found = next(from_right)
    for node in from_right:
        found = node_hash(node, found)
    return found


@dataclass(frozen=True, slots=True)
class Frontier:
    """A tree of `size` entries as it can go on growing."""

    size: int = 0
    nodes: tuple[bytes, ...] = ()

    def grown(self, entries: Iterable[bytes]) -> "Frontier":
        """The tree with `entries` after those it has."""
        size, nodes, sha256 = self.size, list(self.nodes), hashlib.sha256
        for entry in entries:
            node = sha256(b"\x00" + entry).digest()
            full = size
            while full & 1:  # two subtrees of one size become one, as in a binary addition
                node = sha256(b"\x01" + nodes.pop() + node).digest()
                full >>= 1
            nodes.append(node)
            size += 1
        return Frontier(size, tuple(nodes))

    @property
    def root(self) -> bytes:
        """The tree hash."""
        return _folded(self.nodes) if self.nodes else EMPTY_ROOT

    def packed(self) -> bytes:
        """The nodes one after the other."""
        return b"".join(self.nodes)

    @classmethod
    def unpacked(cls, size: object, packed: object) -> "Frontier":
        """The reverse of `packed`, as a file gives it; ValueError when these cannot belong to each other."""
        if not isinstance(size, int) or not isinstance(packed, bytes):
            raise ValueError("a frontier is bytes, its size a number")
        if size < 0 or len(packed) != DIGEST * size.bit_count():
            raise ValueError(f"a tree of {size} entries has no frontier of {len(packed)} bytes")
        return cls(size, tuple(packed[at : at + DIGEST] for at in range(0, len(packed), DIGEST)))


EMPTY = Frontier()


def tree_root(entries: Iterable[bytes]) -> bytes:
    """The tree hash over `entries`."""
    return EMPTY.grown(entries).root


def _split(size: int) -> int:
    """The largest power of two below `size`, which is at least 2."""
    return 1 << (size - 1).bit_length() - 1


def inclusion_proof(entries: Sequence[bytes], index: int) -> list[bytes]:
    """The hashes that lead from entry `index` to the root, lowest first; IndexError when there is none."""
    if not 0 <= index < len(entries):
        raise IndexError(f"no entry {index} in a tree of {len(entries)}")
    proof: list[bytes] = []
    first, last = 0, len(entries)
    while last - first > 1:
        middle = first + _split(last - first)
        if index < middle:
            proof.append(tree_root(entries[middle:last]))
            last = middle
        else:
            proof.append(tree_root(entries[first:middle]))
            first = middle
    return proof[::-1]


def consistency_proof(entries: Sequence[bytes], old: int) -> list[bytes]:
    """The hashes that show that the first `old` of `entries` are still the same; IndexError beyond them."""
    if not 0 < old <= len(entries):
        raise IndexError(f"no tree of {old} in one of {len(entries)}")
    proof: list[bytes] = []
    first, last, whole = 0, len(entries), True
    while old < last:
        middle = first + _split(last - first)
        if old <= middle:
            proof.append(tree_root(entries[middle:last]))
            last = middle
        else:
            proof.append(tree_root(entries[first:middle]))
            first, whole = middle, False
    if not whole:  # where the old tree is one full subtree its root is known already
        proof.append(tree_root(entries[first:last]))
    return proof[::-1]


def verify_inclusion(entry: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> bool:
    """Is `entry` number `index` of the tree of `size` entries with that root? (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf_hash(entry)
    for node in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(node, found)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, node)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Is the tree of `old` entries the beginning of that of `new` entries? (RFC 9162, 2.1.4.2)."""
    if not 0 < old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    nodes = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    if not nodes:
        return False
    at, last = old - 1, new - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    return _joined(at, last, nodes) == (old_root, new_root)


def _joined(at: int, last: int, nodes: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """The roots of the old and the new tree that a consistency proof makes, None when it does not fit."""
    old = new = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return None
        if at & 1 or at == last:
            old, new = node_hash(node, old), node_hash(node, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, node)
        at, last = at >> 1, last >> 1
    return (old, new) if last == 0 else None
