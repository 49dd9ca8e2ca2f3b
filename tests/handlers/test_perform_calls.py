"""A call with a path that is performed for the child does what the kernel does: calls that look and change nothing."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest

from sandlock._request import StrPath
from tests.support.acts import AT_FDCWD, PERFORMED, Back, Buffer, Call, Text, twice
from tests.support.programs import Program

AT_SYMLINK_NOFOLLOW, AT_EACCESS, AT_SYMLINK_FOLLOW = 0x100, 0x200, 0x400
AT_NO_AUTOMOUNT, AT_EMPTY_PATH, AT_STATX_DONT_SYNC = 0x800, 0x1000, 0x4000

STAT, STATX, STATFS = Buffer(144), Buffer(256), Buffer(120)
STATX_ALL = 0xFFF


@pytest.fixture
def acts(program: Program) -> Path:
    return program("acts")


def make(folder: Path) -> None:
    (folder / "file").write_text("content")
    (folder / "tool").touch(0o755)
    (folder / "closed").touch(0)
    (folder / "folder").mkdir()
    (folder / "folder" / "inner").write_text("inner")
    (folder / "shut").mkdir(0o000)
    os.mkfifo(folder / "fifo")
    (folder / b"caf\xe9".decode("utf-8", "surrogateescape")).touch()
    links: dict[str, StrPath] = {
        "link": "file",
        "absolute": folder / "folder" / "inner",
        "tofolder": "folder",
        "dangling": "missing",
        "loop": "loop",
        "outside": "/etc/hostname",
        "latin": b"\xe9\xff".decode("utf-8", "surrogateescape"),
        "long": "x" * 4095,
    }
    for link, target in links.items():
        os.symlink(os.fsdecode(target), folder / link)
        later = time.time() + 10_000  # an access time that following the link does not change
        os.utime(folder / link, (later, 0), follow_symlinks=False)


TARGETS: list[Any] = [
    "file", "tool", "closed", "folder", "folder/inner", "fifo", "link", "absolute", "tofolder", "tofolder/inner",
    "dangling", "loop", "outside", "latin", "long", "missing", "missing/x", "file/x", "shut/x", "loop/x",
    "file/", "folder/", "link/", "tofolder/", "tofolder//", "dangling/", "missing/", ".", "..", "", "/", "//",
    "folder/..", "folder/../file", "./file", "folder//inner", "@", "@/", "@/link", "/dev/null", "/dev/tty",
    "/etc/hostname", "/root/x", "/nonexistent", "n" * 255, "n" * 256, "./" * 2047 + "f", "./" * 2047 + "file",
    Text(b"caf\xe9"), Text(b"\xff"), 1,
]  # fmt: skip


def each(name: str, *arguments: object, after: tuple[object, ...] = ()) -> list[Call]:
    """Make a call for each target, if this machine has it."""
    if name not in PERFORMED:
        return []
    return [(name, *arguments, target, *after) for target in TARGETS]


def at_each_descriptor(name: str, *after: object) -> list[Call]:
    """Make a call relative to several descriptors, also to what the descriptor itself is."""
    calls: list[Call] = []
    for opened in ("folder", "file", "."):
        calls.append(("openat", AT_FDCWD, opened, os.O_RDONLY))
        targets = ("inner", "..", "", "@/file", "missing", 0)
        calls += [(name, Back(1 + i), target, *after) for i, target in enumerate(targets)]
    for number in (0, 999, -1, 2**32 + 999, AT_FDCWD):
        calls += [(name, number, target, *after) for target in ("file", "@/file", "", 0)]
    return calls


def same(acts: Path, tmp_path: Path, calls: list[Call]) -> None:
    done = twice(acts, tmp_path, make, calls, same_data=True)
    assert not calls or {act.error for act in done} > {"", "ENOENT"}


def test_stat(acts: Path, tmp_path: Path) -> None:
    same(acts, tmp_path, each("stat", after=(STAT,)) + each("lstat", after=(STAT,)))


LINK_FLAGS = [0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW]


@pytest.mark.parametrize("flags", [*LINK_FLAGS, AT_NO_AUTOMOUNT, AT_STATX_DONT_SYNC])
def test_newfstatat(acts: Path, tmp_path: Path, flags: int) -> None:
    calls = each("newfstatat", AT_FDCWD, after=(STAT, flags))
    same(acts, tmp_path, calls + at_each_descriptor("newfstatat", STAT, flags))


@pytest.mark.parametrize("flags", [*LINK_FLAGS, AT_NO_AUTOMOUNT, AT_STATX_DONT_SYNC | AT_SYMLINK_NOFOLLOW])
def test_statx(acts: Path, tmp_path: Path, flags: int) -> None:
    calls = each("statx", AT_FDCWD, after=(flags, STATX_ALL, STATX))
    same(acts, tmp_path, calls + at_each_descriptor("statx", flags, STATX_ALL, STATX))


def test_what_stat_refuses(acts: Path, tmp_path: Path) -> None:
    calls: list[Call] = [
        ("newfstatat", AT_FDCWD, "file", STAT, 0x10000),
        ("newfstatat", AT_FDCWD, "missing", STAT, AT_EACCESS),
        ("newfstatat", AT_FDCWD, "file", 1, 0),
        ("newfstatat", AT_FDCWD, "missing", 1, 0),
        ("statx", AT_FDCWD, "file", 0x6000, STATX_ALL, STATX),
        ("statx", AT_FDCWD, "file", 0x10000, STATX_ALL, STATX),
        ("statx", AT_FDCWD, "file", 0, 0x80000000, STATX),
        ("statx", AT_FDCWD, "file", 0, 0, STATX),
        ("statx", AT_FDCWD, "file", 0, STATX_ALL, 1),
    ]
    errors = [act.error for act in twice(acts, tmp_path, make, calls, same_data=True)]
    assert errors == ["EINVAL", "EINVAL", "EFAULT", "ENOENT", "EINVAL", "EINVAL", "EINVAL", "", "EFAULT"]


@pytest.mark.parametrize("mode", [os.F_OK, os.R_OK, os.W_OK, os.X_OK, 7])
def test_access(acts: Path, tmp_path: Path, mode: int) -> None:
    calls = each("access", after=(mode,)) + each("faccessat", AT_FDCWD, after=(mode,))
    same(acts, tmp_path, calls + at_each_descriptor("faccessat", mode))


@pytest.mark.parametrize("flags", [*LINK_FLAGS, AT_EACCESS, AT_EACCESS | AT_SYMLINK_NOFOLLOW])
@pytest.mark.parametrize("mode", [os.F_OK, os.R_OK | os.W_OK])
def test_faccessat2(acts: Path, tmp_path: Path, flags: int, mode: int) -> None:
    calls = each("faccessat2", AT_FDCWD, after=(mode, flags))
    same(acts, tmp_path, calls + at_each_descriptor("faccessat2", mode, flags))


def test_what_access_refuses(acts: Path, tmp_path: Path) -> None:
    calls: list[Call] = [
        ("faccessat", AT_FDCWD, "file", 8),
        ("faccessat", AT_FDCWD, "missing", 2**31),
        ("faccessat2", AT_FDCWD, "file", 8, 0),
        ("faccessat2", AT_FDCWD, "missing", 0, AT_SYMLINK_FOLLOW),
    ]
    errors = {act.error for act in twice(acts, tmp_path, make, calls)}
    assert errors == {"EINVAL"}


def test_readlink(acts: Path, tmp_path: Path) -> None:
    calls = each("readlink", after=(Buffer(4096), 4096)) + each("readlinkat", AT_FDCWD, after=(Buffer(4096), 4096))
    same(acts, tmp_path, calls + at_each_descriptor("readlinkat", Buffer(64), 64))


def test_readlink_into_little_space(acts: Path, tmp_path: Path) -> None:
    calls: list[Call] = [
        ("readlinkat", AT_FDCWD, target, Buffer(16), size)
        for target in ("link", "missing", "file")
        for size in (2, 1, 0, -1, 2**31, 2**32 + 3, 2**32)
    ]
    calls.append(("readlinkat", AT_FDCWD, "link", 1, 16))
    done = twice(acts, tmp_path, make, calls, same_data=True)
    assert done[0].data.startswith(b"fi\0")
    assert done[-1].error == "EFAULT"


def test_readlink_of_a_descriptor_of_the_link(acts: Path, tmp_path: Path) -> None:
    """An empty path means the descriptor. Only the kernel can open one of a link, for openat is not trapped here."""
    calls: list[Call] = [
        ("openat", AT_FDCWD, "link", os.O_PATH | os.O_NOFOLLOW),
        ("readlinkat", Back(1), "", Buffer(16), 16),
        ("openat", AT_FDCWD, "file", os.O_PATH),
        ("readlinkat", Back(1), "", Buffer(16), 16),
    ]
    done = twice(acts, tmp_path, make, calls, same_data=True, names=["readlinkat"])
    assert [act.error for act in done] == ["", "", "", "ENOENT"]
    assert done[1].data.startswith(b"file\0")


def test_statfs(acts: Path, tmp_path: Path) -> None:
    """The data is not compared: the free space changes."""
    calls = each("statfs", after=(STATFS,))
    done = twice(acts, tmp_path, make, calls)
    assert {act.error for act in done} > {"", "ENOENT", "ENOTDIR"}
