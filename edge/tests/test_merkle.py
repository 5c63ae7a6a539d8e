"""The tree is the one of RFC 6962: against its plain recursion, and against the vectors others publish."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.merkle import (
    EMPTY_ROOT,
    Frontier,
    consistency_proof,
    inclusion_proof,
    tree_root,
    verify_consistency,
    verify_inclusion,
)

# The reference inputs and roots of Certificate Transparency (transparency-dev/merkle, testonly).
LEAVES = [
    bytes.fromhex(text)
    for text in (
        *("", "00", "10", "2021", "3031", "40414243", "5051525354555657"),
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSION = {
    (0, 1): [],
    (0, 2): ["96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"],
    (1, 2): [ROOTS[1]],
    (2, 3): [ROOTS[2]],
    (1, 5): [
        ROOTS[1],
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        ROOTS[4],
    ],
}
CONSISTENCY = {
    (1, 1): [],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        ROOTS[4],
    ],
}
TREES = st.lists(st.binary(min_size=1, max_size=3), min_size=1, max_size=70)


def naive(entries: list[bytes]) -> bytes:
    """The definition of RFC 6962, 2.1, word for word."""
    if not entries:
        return hashlib.sha256(b"").digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    split = 1
    while split * 2 < len(entries):
        split *= 2
    return hashlib.sha256(b"\x01" + naive(entries[:split]) + naive(entries[split:])).digest()


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_of_certificate_transparency(size: int) -> None:
    assert tree_root(LEAVES[:size]).hex() == ROOTS[size]


@pytest.mark.parametrize(("index", "size"), INCLUSION)
def test_the_inclusion_proofs_are_the_published_ones(index: int, size: int) -> None:
    proof = inclusion_proof(LEAVES[:size], index)
    assert [node.hex() for node in proof] == INCLUSION[index, size]
    assert verify_inclusion(LEAVES[index], index, size, proof, bytes.fromhex(ROOTS[size]))


@pytest.mark.parametrize(("old", "new"), CONSISTENCY)
def test_the_consistency_proofs_are_the_published_ones(old: int, new: int) -> None:
    proof = consistency_proof(LEAVES[:new], old)
    assert [node.hex() for node in proof] == CONSISTENCY[old, new]
    roots = bytes.fromhex(ROOTS[old]), bytes.fromhex(ROOTS[new])
    assert verify_consistency(old, new, *roots, proof)


@given(TREES, st.data())
def test_a_tree_grown_in_any_steps_is_the_recursion_and_survives_being_kept(
    entries: list[bytes], data: st.DataObject
) -> None:
    tree = Frontier()
    while tree.size < len(entries):
        step = data.draw(st.integers(1, len(entries) - tree.size))
        tree = tree.grown(entries[tree.size : tree.size + step])
        tree = Frontier.unpacked(tree.size, tree.packed())
        assert tree.root == naive(entries[: tree.size])


@given(TREES, st.data())
def test_every_entry_is_shown_to_be_in_its_tree_and_no_other_is(
    entries: list[bytes], data: st.DataObject
) -> None:
    size, root = len(entries), naive(entries)
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(entries, index)
    assert verify_inclusion(entries[index], index, size, proof, root)
    assert not verify_inclusion(b"another entry", index, size, proof, root)
    assert not verify_inclusion(entries[index], index, size, [*proof, root], root)
    assert not verify_inclusion(entries[index], index, size, proof, EMPTY_ROOT)
    assert not verify_inclusion(entries[index], size, size, proof, root)
    if proof:
        broken = data.draw(st.integers(0, len(proof) - 1))
        assert not verify_inclusion(entries[index], index, size, proof[:broken], root)
        proof[broken] = bytes(32)
        assert not verify_inclusion(entries[index], index, size, proof, root)


@given(TREES, st.data())
def test_a_tree_is_shown_to_begin_with_an_older_one_and_with_no_other(
    entries: list[bytes], data: st.DataObject
) -> None:
    new, old = len(entries), data.draw(st.integers(1, len(entries)))
    roots = naive(entries[:old]), naive(entries)
    proof = consistency_proof(entries, old)
    assert verify_consistency(old, new, *roots, proof)
    assert not verify_consistency(old, new, bytes(32), roots[1], proof)
    assert not verify_consistency(old, new, roots[0], bytes(32), proof)
    assert not verify_consistency(old, new, *roots, [*proof, bytes(32)])
    forged = [b"forged", *entries[1:old]]
    if forged != entries[:old]:
        assert not verify_consistency(old, new, naive(forged), roots[1], proof)
    if proof:
        proof[data.draw(st.integers(0, len(proof) - 1))] = bytes(32)
        assert not verify_consistency(old, new, *roots, proof)


def test_proofs_of_what_is_not_there_are_refused() -> None:
    with pytest.raises(IndexError):
        inclusion_proof(LEAVES, 8)
    for old in (0, 9):
        with pytest.raises(IndexError):
            consistency_proof(LEAVES, old)
    assert not verify_consistency(0, 8, EMPTY_ROOT, bytes.fromhex(ROOTS[8]), [])
    assert not verify_consistency(3, 8, bytes(32), bytes(32), [])
    with pytest.raises(ValueError, match="frontier"):
        Frontier.unpacked(3, bytes(32))
