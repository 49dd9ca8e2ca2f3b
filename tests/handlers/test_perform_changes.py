"""A call with a path that is performed for the child does what the kernel does: calls that change folders and files."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.acts import AT_FDCWD, PERFORMED, Act, Back, Call, Text, tree, twice
from tests.support.programs import Program

AT_SYMLINK_NOFOLLOW, AT_REMOVEDIR, AT_SYMLINK_FOLLOW, AT_EMPTY_PATH = 0x100, 0x200, 0x400, 0x1000
RENAME_NOREPLACE, RENAME_EXCHANGE = 1, 2
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2


@pytest.fixture
def acts(program: Program) -> Path:
    return program("acts")


def make(folder: Path) -> None:
    (folder / "file").write_text("content")
    (folder / "other").write_text("another content")
    (folder / "empty").mkdir()
    (folder / "full").mkdir()
    (folder / "full" / "inner").write_text("inner")
    (folder / "read-only").mkdir()
    (folder / "read-only" / "kept").touch()
    (folder / "read-only").chmod(0o555)
    os.mkfifo(folder / "fifo")
    for link, target in {"link": "file", "tofull": "full", "dangling": "missing", "loop": "loop"}.items():
        os.symlink(target, folder / link)


# Landlock does not refuse a change of mode, owner or times: no such call may name what is outside of the test's folder.
INSIDE = [
    "file", "link", "dangling", "loop", "fifo", "empty", "full", "tofull", "missing", "missing/x", "file/x",
    "read-only/kept", "read-only/new", "file/", "empty/", "tofull/", "link/", "missing/", "full/inner", "tofull/inner",
    ".", "", "empty/.", "empty/..", "full/./inner", "@/full//inner", "n" * 256, Text(b"caf\xe9"),
]  # fmt: skip
TARGETS = [*INSIDE, "..", "/", "../outside/file", "../outside/new", "../outside/folder"]

UNREADABLE = ["./" * 2047 + "file", "x/" * 3000, 1, 0]


@pytest.fixture(autouse=True)
def outside(tmp_path: Path) -> Iterator[None]:
    """Make a folder that is not granted, and must stay as it is."""
    folder = tmp_path / "outside"
    (folder / "folder").mkdir(parents=True)
    (folder / "file").write_text("outside")
    before = tree(folder)
    yield
    assert tree(folder) == before


def same(acts: Path, tmp_path: Path, calls: list[Call]) -> list[Act]:
    return twice(acts, tmp_path, make, [call for call in calls if call[0] in (*PERFORMED, "openat", "umask")])


def test_paths_that_cannot_be_read(acts: Path, tmp_path: Path) -> None:
    """Where an argument beside the path is wrong as well, the kernel may name that error first."""
    calls: list[Call] = []
    for path in UNREADABLE:
        calls += [
            ("unlinkat", AT_FDCWD, path, 0),
            ("unlink", path),
            ("mkdirat", AT_FDCWD, path, 0o700),
            ("mknodat", AT_FDCWD, path, 0o010600, 0),
            ("renameat2", AT_FDCWD, path, AT_FDCWD, "x", 0),
            ("renameat2", AT_FDCWD, "file", AT_FDCWD, path, 0),
            ("linkat", AT_FDCWD, path, AT_FDCWD, "x", 0),
            ("linkat", AT_FDCWD, "file", AT_FDCWD, path, 0),
            ("symlinkat", path, AT_FDCWD, "x"),
            ("symlinkat", "text", AT_FDCWD, path),
            ("fchmodat", AT_FDCWD, path, 0o600),
            ("fchownat", AT_FDCWD, path, -1, -1, 0),
            ("truncate", path, 0),
            ("utimensat", AT_FDCWD, path, 0, 0),
        ]
    assert {act.error for act in same(acts, tmp_path, calls)} == {"ENAMETOOLONG", "EFAULT"}


@pytest.mark.parametrize("flags", [0, AT_REMOVEDIR, 1])
def test_remove(acts: Path, tmp_path: Path, flags: int) -> None:
    same(acts, tmp_path, [("unlinkat", AT_FDCWD, target, flags) for target in TARGETS])


@pytest.mark.parametrize("name", ["unlink", "rmdir"])
def test_remove_with_old_calls(acts: Path, tmp_path: Path, name: str) -> None:
    same(acts, tmp_path, [(name, target) for target in TARGETS])


def test_make_folders(acts: Path, tmp_path: Path) -> None:
    calls: list[Call] = [("mkdirat", AT_FDCWD, target, 0o2751) for target in TARGETS]
    same(
        acts, tmp_path, [*calls, *(("mkdir", target, 0o700) for target in (*TARGETS, "one", "one/two", "@/one/three/"))]
    )


@pytest.mark.parametrize("mode", [0o010640, 0o100600, 0o600, 0o140777, 0o020600, 0o060600])
def test_make_nodes(acts: Path, tmp_path: Path, mode: int) -> None:
    same(acts, tmp_path, [("mknodat", AT_FDCWD, target, mode, 0x103) for target in TARGETS])


RENAMES = [
    ("file", "new"), ("new", "other"), ("other", "full/moved"), ("full/moved", "back"), ("full", "empty"),
    ("empty", "renamed"), ("renamed", "renamed/inside"), ("link", "link-too"), ("tofull/inner", "inner"),
    ("missing", "x"), ("full", "missing/x"), ("dangling", "dangling-too"), ("back", "tofull/"), ("back", "new-folder/"),
    ("full/", "full-too/"), (".", "x"), ("fifo", ".."), ("", "x"), ("fifo", ""), ("../outside/file", "x"),
    ("fifo", "../outside/x"), ("fifo", "fifo"), ("n" * 256, "x"), ("fifo", "n" * 256), ("read-only/kept", "kept"),
    ("/", "x"),    ("fifo", Text(b"caf\xe9")),
]  # fmt: skip


@pytest.mark.parametrize("flags", [0, RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_NOREPLACE | RENAME_EXCHANGE, 64])
def test_rename(acts: Path, tmp_path: Path, flags: int) -> None:
    pairs = [*RENAMES, ("file", "other"), ("full", "file"), ("loop", "empty"), ("loop", "fifo")]
    same(acts, tmp_path, [("renameat2", AT_FDCWD, old, AT_FDCWD, new, flags) for old, new in pairs])


@pytest.mark.parametrize("name", ["rename", "renameat"])
def test_rename_with_old_calls(acts: Path, tmp_path: Path, name: str) -> None:
    if name == "rename":
        same(acts, tmp_path, [(name, old, new) for old, new in RENAMES])
    else:
        same(acts, tmp_path, [(name, AT_FDCWD, old, AT_FDCWD, new) for old, new in RENAMES])


LINKS = [
    ("file", "new"), ("link", "new-link"), ("dangling", "new-dangling"), ("tofull", "new-tofull"), ("full", "new-full"),
    ("file", "other"), ("file", "full/new"), ("full/inner", "inner"), ("missing", "x"), ("file", "missing/x"),
    ("", "x"), ("file", ""), ("file", "dangling"), ("fifo", "fifo-too"), ("../outside/file", "x"), ("loop", "x"),
    ("file", "../outside/x"),
    ("file/", "x"), ("link/", "x"), ("file", "x/"), (".", "x"), ("file", ".."), ("n" * 256, "x"),
    ("read-only/kept", "kept"), ("file", Text(b"caf\xe9")),
]  # fmt: skip


@pytest.mark.parametrize("flags", [0, AT_SYMLINK_FOLLOW, AT_SYMLINK_NOFOLLOW])
def test_link(acts: Path, tmp_path: Path, flags: int) -> None:
    calls: list[Call] = [("linkat", AT_FDCWD, old, AT_FDCWD, new, flags) for old, new in LINKS]
    same(acts, tmp_path, [*calls, *(("link", old, new) for old, new in LINKS)])


def test_symlink(acts: Path, tmp_path: Path) -> None:
    texts = ["any text", "/etc/shadow", "", "x" * 4094, "x" * 4095, "x" * 5000, Text(b"\xff\xfe"), 1]
    calls: list[Call] = [("symlinkat", text, AT_FDCWD, f"new-{i}") for i, text in enumerate(texts)]
    calls += [("symlinkat", "text", AT_FDCWD, target) for target in TARGETS]
    same(acts, tmp_path, [*calls, *(("symlink", "text", target) for target in (*TARGETS, "@/full/link"))])


@pytest.mark.parametrize("flags", [None, 0, AT_SYMLINK_NOFOLLOW, AT_SYMLINK_FOLLOW])
def test_chmod(acts: Path, tmp_path: Path, flags: int | None) -> None:
    calls: list[Call] = []
    for mode in (0o640, 0o4711, 0o2755, 0o7777, 0o600, 0o100600, 0o700):
        if flags is None:
            calls += [
                call for target in INSIDE for call in (("fchmodat", AT_FDCWD, target, mode), ("chmod", target, mode))
            ]
        else:
            calls += [("fchmodat2", AT_FDCWD, target, mode, flags) for target in INSIDE]
    same(acts, tmp_path, calls)


@pytest.mark.parametrize("flags", [0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_REMOVEDIR])
def test_chown(acts: Path, tmp_path: Path, flags: int) -> None:
    """As root it is granted, else refused."""
    owners = ((-1, -1), (2**32 - 1, os.getgid()), (12, 34), (os.getuid(), -1), (1, 2**32 + 5))
    calls: list[Call] = [
        ("fchownat", AT_FDCWD, target, *owner, flags)
        for target in INSIDE
        for owner in owners
        if (target, flags) != ("", AT_EMPTY_PATH)
    ]
    calls += [(name, target, *owner) for name in ("chown", "lchown") for target in INSIDE for owner in owners]
    same(acts, tmp_path, calls)


def test_truncate(acts: Path, tmp_path: Path) -> None:
    sizes = (3, 0, 100, -1, 2**62)
    same(acts, tmp_path, [("truncate", target, size) for target in INSIDE for size in sizes])


def times(access: tuple[int, int], change: tuple[int, int]) -> bytes:
    """Return two struct timespec."""
    return struct.pack("=qqqq", *access, *change)


TIMES = [
    0,
    1,
    times((1000, 1), (2000, 999_999_999)),
    times((0, UTIME_OMIT), (3000, 5)),
    times((4000, 6), (0, UTIME_OMIT)),
    times((0, UTIME_OMIT), (0, UTIME_OMIT)),
    times((0, UTIME_NOW), (0, UTIME_NOW)),
    times((0, UTIME_NOW), (5000, 7)),
    times((1, 10**9), (1, 0)),
    times((-1, 0), (2**40, 0)),
]
OMIT_BOTH = 5


@pytest.mark.parametrize("flags", [0, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_REMOVEDIR])
@pytest.mark.parametrize("position", range(len(TIMES)))
def test_utimensat(acts: Path, tmp_path: Path, flags: int, position: int) -> None:
    calls: list[Call] = [
        ("utimensat", AT_FDCWD, target, TIMES[position], flags)
        for target in INSIDE
        if (target, flags) != ("", AT_EMPTY_PATH)
    ]
    if (position, flags) == (OMIT_BOTH, AT_REMOVEDIR):
        return  # the kernel looks at nothing then
    same(acts, tmp_path, calls)
    assert fixed_times(tmp_path / "bare") == fixed_times(tmp_path / "performed")


def fixed_times(folder: Path) -> dict[str, tuple[int, ...]]:
    """Return the times that a call can have set, and no clock."""
    found = {}
    for name in tree(folder):
        status = (folder / name).lstat()
        found[name] = tuple(
            time if time < 10**16 or time > 10**20 else 0 for time in (status.st_atime_ns, status.st_mtime_ns)
        )
    return found


def test_times_of_a_descriptor(acts: Path, tmp_path: Path) -> None:
    """futimens(3) gives a null pointer in the place of the path."""
    set_to = TIMES[2]
    calls: list[Call] = [
        ("openat", AT_FDCWD, "file", os.O_RDONLY),
        ("utimensat", Back(1), 0, set_to, 0),
        ("utimensat", Back(2), 0, set_to, AT_SYMLINK_NOFOLLOW),
        ("utimensat", AT_FDCWD, 0, set_to, 0),
        ("utimensat", 999, 0, set_to, 0),
        ("utimensat", Back(5), "", set_to, 0),
        ("utimensat", Back(6), "x", set_to, 0),
    ]
    errors = [act.error for act in same(acts, tmp_path, calls)]
    assert errors == ["", "", "EINVAL", "EFAULT", "EBADF", "ENOENT", "ENOTDIR"]
    assert (tmp_path / "performed" / "file").stat().st_mtime_ns == 2_000_999_999_999


def test_descriptors_of_folders(acts: Path, tmp_path: Path) -> None:
    calls: list[Call] = [
        ("openat", AT_FDCWD, "full", os.O_RDONLY | os.O_DIRECTORY),
        ("mkdirat", Back(1), "made", 0o700),
        ("renameat2", Back(2), "inner", Back(2), "made/inner", 0),
        ("renameat2", AT_FDCWD, "file", Back(3), "../full/file", 0),
        ("symlinkat", "../other", Back(4), "link"),
        ("linkat", Back(5), "link", AT_FDCWD, "linked", AT_SYMLINK_FOLLOW),
        ("fchmodat", Back(6), "made/inner", 0o604),
        ("unlinkat", Back(7), "file", 0),
        ("unlinkat", Back(8), "@/empty", AT_REMOVEDIR),
        ("unlinkat", 999, "other", 0),
        ("unlinkat", 999, "@/other", 0),
        ("mkdirat", -1, "x", 0o700),
        ("renameat2", 999, "a", AT_FDCWD, "b", 0),
        ("renameat2", AT_FDCWD, "fifo", 999, "b", 0),
        ("openat", AT_FDCWD, "fifo", os.O_RDWR),
        ("mkdirat", Back(1), "x", 0o700),
    ]
    errors = [act.error for act in same(acts, tmp_path, calls)]
    assert errors == [""] * 9 + ["EBADF", "", "EBADF", "EBADF", "EBADF", "", "ENOTDIR"]


def test_a_file_without_a_name_gets_one(acts: Path, tmp_path: Path) -> None:
    calls: list[Call] = [
        ("openat", AT_FDCWD, ".", os.O_WRONLY | os.O_TMPFILE, 0o640),
        ("linkat", Back(1), "", AT_FDCWD, "named", AT_EMPTY_PATH),
        ("linkat", Back(2), "", AT_FDCWD, "named-too", 0),
    ]
    done = twice(acts, tmp_path, make, calls, names=["linkat"])
    assert [act.error for act in done] == ["", "", "ENOENT"]
