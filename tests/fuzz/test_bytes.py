"""What a child controls, as Python reads it: whatever it is, it is read as the kernel does, or refused."""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import socket
import struct
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from sandlock._frame import _SLOT_SIZE, Slot
from sandlock._peers import peer_of, peer_text
from sandlock._process import resolve
from sandlock.jupyter.values import decode, encode

SETTINGS = settings(derandomize=True, database=None, deadline=None, print_blob=True)

families = st.sampled_from([socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK])
addresses = st.builds(lambda family, rest: struct.pack("=H", family) + rest, families, st.binary(max_size=126))


@SETTINGS
@given(st.one_of(st.binary(max_size=128), addresses))
def test_socket_addresses(raw: bytes) -> None:
    host, port = peer_of(raw)
    text = peer_text(raw)
    assert (text is None) == (len(raw) < 2)
    if host is None:
        assert port == 0
        return
    assert text is not None
    assert text.endswith(f":{port}")
    assert raw[2:4] == port.to_bytes(2, "big")
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    packed = socket.inet_pton(family, host)
    assert packed == (raw[4:8] if raw[0] == socket.AF_INET else raw[8:24][-len(packed) :])


words = st.integers(0, 2**32 - 1)
longs = st.integers(0, 2**64 - 1)


@SETTINGS
@given(st.tuples(longs, words, words, st.integers(-(2**31), 2**31 - 1), words, longs, *[longs] * 6, words))
def test_notifications_in_a_slot(snapshot: tuple[int, ...]) -> None:
    """The offsets are those of bindings/core/frame.go."""
    with mmap.mmap(-1, 2 * _SLOT_SIZE) as frame:
        slot = Slot(frame, 1)
        struct.pack_into("=QIIiI", frame, _SLOT_SIZE, *snapshot[:5])
        struct.pack_into("=Q", frame, _SLOT_SIZE + 24, snapshot[5])
        struct.pack_into("=6Q", frame, _SLOT_SIZE + 32, *snapshot[6:12])
        struct.pack_into("=I", frame, _SLOT_SIZE + 80, snapshot[12])
        assert slot.notification() == snapshot
        slot.answer(snapshot[1], snapshot[2], snapshot[3])
        assert slot.notification() == snapshot
        assert struct.unpack_from("=IIq", frame, _SLOT_SIZE + 88) == (snapshot[1], snapshot[2], snapshot[3])
        slot.notification = None  # type: ignore[assignment] # it keeps the frame


plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
keys = st.one_of(plain, st.binary(), st.complex_numbers(allow_nan=False))
values = st.recursive(
    keys,
    lambda inner: st.one_of(
        st.lists(inner), st.tuples(inner, inner), st.sets(keys), st.frozensets(keys), st.dictionaries(keys, inner)
    ),
    max_leaves=10,
)


@SETTINGS
@given(values)
def test_values_come_back_as_they_were(value: Any) -> None:
    assert decode("x", json.loads(json.dumps(encode("x", value)))) == value


tags = st.sampled_from(["int", "bytes", "complex", "dict", "tuple", "set", "frozenset", "other"])
documents = st.recursive(
    st.one_of(plain, st.just(math.nan)),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.one_of(tags, st.text()), inner, max_size=2)),
    max_leaves=10,
)


@SETTINGS
@given(documents)
@example({"complex": [10**400, 0]})
def test_any_document_is_a_value_or_refused(document: Any) -> None:
    with contextlib.suppress(ValueError):
        decode("x", document)


names = st.sampled_from(["a", "b", "c", "d", "..", ".", "", "n" * 255])
paths = st.builds(lambda root, parts: "/" * root + "/".join(parts), st.booleans(), st.lists(names, max_size=5))
entries = st.lists(st.tuples(st.sampled_from(["folder", "file", "link"]), paths, paths), max_size=10)


@SETTINGS
@given(entries, paths)
def test_paths(tree: list[tuple[str, str, str]], path: str) -> None:
    """What the kernel can open it opens where :func:`resolve` says; an absolute path is below the tree."""
    with tempfile.TemporaryDirectory() as name:
        root = os.path.realpath(name)

        def below(path: str) -> str:
            return root + path if path.startswith("/") else f"{root}/./{path}"

        for kind, place, target in tree:
            where = below(place)
            if not os.path.realpath(os.path.dirname(where)).startswith(f"{root}"):
                continue
            with contextlib.suppress(OSError):
                if kind == "folder":
                    os.mkdir(where)
                elif kind == "file":
                    Path(where).touch()
                else:
                    os.symlink(root + target if target.startswith("/") else target, where)
        try:
            fd = os.open(below(path), os.O_PATH)
        except OSError:
            return
        try:
            opened = os.readlink(f"/proc/self/fd/{fd}")
        finally:
            os.close(fd)
        found = resolve(os.getpid(), None, below(path))
        assert found.target == opened
        assert os.path.realpath(os.path.dirname(found.path)) == os.path.dirname(found.path)
        assert all(os.path.islink(link) for link in found.symlinks)
