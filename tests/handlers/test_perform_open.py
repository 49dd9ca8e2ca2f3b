"""An open that is performed for the child does what the kernel does: same result, same errno, same file."""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

import pytest

from sandlock._request import StrPath
from tests.support.acts import AT_FDCWD, PERFORMED, Back, Buffer, Call, Text, act, performing, twice
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox


@pytest.fixture
def acts(program: Program) -> Path:
    return program("acts")


def make(folder: Path) -> None:
    (folder / "../ungranted").write_text("ungranted")
    (folder / "file").write_text("content")
    (folder / "folder").mkdir()
    (folder / "folder" / "inner").write_text("inner")
    os.mkfifo(folder / "fifo")
    (folder / b"caf\xe9".decode("utf-8", "surrogateescape")).write_text("latin")
    (folder / "closed").write_text("none may read it")
    (folder / "closed").chmod(0)
    links: dict[str, StrPath] = {
        "link": "file",
        "link2": "link",
        "absolute": folder / "folder" / "inner",
        "tofolder": "folder",
        "tofifo": "fifo",
        "dangling": "missing-too",
        "nowhere": "missing/file",
        "loop": "loop",
        "outside": "../ungranted",
        "up": "../..",
    }
    for link, target in links.items():
        os.symlink(os.fsdecode(target), folder / link)


LONG = "./" * 2047
TOO_LONG = [LONG + "file", "x/" * 3000]

TARGETS = [
    "file", "missing", "folder", "folder/inner", "folder/new", "link", "link2", "absolute", "tofolder",
    "tofolder/inner", "dangling", "nowhere", "loop", "outside", "closed",
    "file/", "folder/", "link/", "tofolder/", "missing/", "dangling/",
    "file/x", "missing/x", "loop/x", "folder/..", "folder/../file", "folder/./inner", "missing/../file", "file/../file",
    ".", "..", "", "/", "//", "./file", "folder//inner", "tofolder/..", "up/../file",
    "@/file", "@/folder/../link", "@/tofolder/absolute-new", "@", "@/", "/dev/null", "/dev/null/", "/nonexistent/x",
    "n" * 255, "n" * 256, "folder/" + "n" * 256, LONG + "f",
    Text(b"caf\xe9"), Text(b"new-\xff\xfe"),
]  # fmt: skip

FLAGS = {
    "read": os.O_RDONLY,
    "write": os.O_WRONLY,
    "read and write": os.O_RDWR,
    "neither": os.O_ACCMODE,
    "create": os.O_WRONLY | os.O_CREAT,
    "create to read": os.O_RDONLY | os.O_CREAT,
    "create exclusively": os.O_WRONLY | os.O_CREAT | os.O_EXCL,
    "create without links": os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW,
    "create and truncate": os.O_RDWR | os.O_CREAT | os.O_TRUNC,
    "create and append": os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC,
    "create a folder": os.O_CREAT | os.O_DIRECTORY,
    "exclusively what is there": os.O_RDONLY | os.O_EXCL,
    "truncate": os.O_WRONLY | os.O_TRUNC,
    "truncate to read": os.O_RDONLY | os.O_TRUNC,
    "append": os.O_RDWR | os.O_APPEND,
    "without links": os.O_RDONLY | os.O_NOFOLLOW,
    "folders": os.O_RDONLY | os.O_DIRECTORY,
    "folders without links": os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW,
    "close-on-exec": os.O_RDONLY | os.O_CLOEXEC,
    "nonblocking": os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY,
    "synchronous": os.O_WRONLY | os.O_SYNC,
    "without access time": os.O_RDONLY | os.O_NOATIME,
    "file without a name": os.O_RDWR | os.O_TMPFILE,
    "file without a name, for good": os.O_WRONLY | os.O_TMPFILE | os.O_EXCL,
    "file without a name to read": os.O_RDONLY | os.O_TMPFILE,
    "half a flag": os.O_WRONLY | os.O_TMPFILE & ~os.O_DIRECTORY,
    "unknown flags": os.O_RDONLY | 0x70000000,
}

# O_NOFOLLOW of an open file tells nothing and does nothing; what is performed has it not.
NOFOLLOW = os.O_NOFOLLOW


def opened(*call: object) -> list[Call]:
    """Open, tell the kind of the descriptor and the file, and close."""
    return [
        call,
        ("fcntl", Back(1), fcntl.F_GETFL),
        ("fcntl", Back(2), fcntl.F_GETFD),
        ("fstatfs", Back(3), Buffer(120)),
        ("close", Back(4)),
    ]


@pytest.mark.parametrize("name", FLAGS)
def test_openat(acts: Path, tmp_path: Path, name: str) -> None:
    calls = [call for target in TARGETS for call in opened("openat", AT_FDCWD, target, FLAGS[name], 0o640)]
    twice(acts, tmp_path, make, calls, ignored=NOFOLLOW)


def test_paths_that_are_too_long(acts: Path, tmp_path: Path) -> None:
    flags = (os.O_RDONLY, os.O_WRONLY | os.O_CREAT, os.O_WRONLY | os.O_CREAT | os.O_EXCL, os.O_NOFOLLOW)
    calls = [("openat", AT_FDCWD, target, flag, 0o600) for target in TOO_LONG for flag in flags]
    assert {act.error for act in twice(acts, tmp_path, make, calls)} == {"ENAMETOOLONG"}


FIFO_FLAGS = {
    "read": os.O_RDONLY | os.O_NONBLOCK,
    "write": os.O_WRONLY | os.O_NONBLOCK,
    "both": os.O_RDWR,
    "create": os.O_RDWR | os.O_CREAT,
    "create exclusively": os.O_RDWR | os.O_CREAT | os.O_EXCL,
    "folder": os.O_RDONLY | os.O_DIRECTORY,
    "without links": os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK,
}


def test_fifos(acts: Path, tmp_path: Path) -> None:
    calls = [
        call
        for flags in FIFO_FLAGS.values()
        for target in ("fifo", "tofifo", "fifo/", "fifo/x")
        for call in opened("openat", AT_FDCWD, target, flags, 0o640)
    ]
    twice(acts, tmp_path, make, calls, ignored=NOFOLLOW)


def test_both_ends_of_a_fifo(acts: Path, tmp_path: Path) -> None:
    """The second open finds the other end, and does not wait."""
    calls = [
        ("openat", AT_FDCWD, "fifo", os.O_RDONLY | os.O_NONBLOCK),
        *opened("openat", AT_FDCWD, "fifo", os.O_WRONLY),
        ("openat", AT_FDCWD, "fifo", os.O_WRONLY | os.O_CLOEXEC),
        ("write", Back(1), "through", 7),
        ("read", Back(8), Buffer(7), 7),
    ]
    assert twice(acts, tmp_path, make, calls)[-1].data == b"through"


@pytest.mark.skipif("open" not in PERFORMED, reason="this machine has no open")
def test_old_calls(acts: Path, tmp_path: Path) -> None:
    calls = [
        call
        for target in TARGETS
        for flags in (os.O_RDONLY, os.O_RDWR | os.O_CREAT, os.O_NOFOLLOW)
        for call in [*opened("open", target, flags, 0o604), *opened("creat", target, 0o600)]
    ]
    twice(acts, tmp_path, make, calls, ignored=NOFOLLOW)


def test_folders_of_descriptors(acts: Path, tmp_path: Path) -> None:
    calls: list[Call] = []
    for folder in ("folder", "file", ".", "tofolder"):
        for flags in (os.O_RDONLY, os.O_RDONLY | os.O_NOFOLLOW):
            targets = ("inner", "../file", "", ".", "..", "new", "@/file", "missing/x")
            calls.append(("openat", AT_FDCWD, folder, flags))
            calls += [("openat", Back(1 + i), target, os.O_RDONLY) for i, target in enumerate(targets)]
            calls.append(("openat", Back(1 + len(targets)), "made", os.O_WRONLY | os.O_CREAT, 0o600))
    for number in (999, -1, -5, 2**31, 2**32 + 999, 2**32 - 100):
        calls += [("openat", number, target, os.O_RDONLY) for target in ("file", "@/file", "", "/dev/null")]
    twice(acts, tmp_path, make, calls)


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o777, 0])
def test_umask(acts: Path, tmp_path: Path, mask: int) -> None:
    calls = [
        ("umask", mask),
        ("openat", AT_FDCWD, "new", os.O_WRONLY | os.O_CREAT, 0o666),
        ("openat", AT_FDCWD, "tool", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o4777),
        ("mkdirat", AT_FDCWD, "new-folder", 0o777),
        ("mknodat", AT_FDCWD, "new-fifo", 0o010666, 0),
        ("umask", 0o022),
        ("openat", AT_FDCWD, "later", os.O_WRONLY | os.O_CREAT, 0o666),
    ]
    twice(acts, tmp_path, make, calls)


def test_large_files(acts: Path, tmp_path: Path) -> None:
    def make_large(folder: Path) -> None:
        (folder / "large").touch()
        os.truncate(folder / "large", 3 << 30)

    calls = [
        *opened("openat", AT_FDCWD, "large", os.O_RDONLY),
        *opened("openat2", AT_FDCWD, "large", struct.pack("=QQQ", os.O_RDONLY, 0, 0), 24),
        ("truncate", "large", 0),
    ]
    done = twice(acts, tmp_path, make_large, calls)
    assert [act.error for act in done[::5]] == ["", "", ""]


BEYOND, XDEV, MAGIC, SYMLINKS, BENEATH, IN_ROOT, CACHED = 0, 1, 2, 4, 8, 16, 32


def how(flags: int, mode: int = 0, resolve: int = 0) -> bytes:
    """Return a struct open_how."""
    return struct.pack("=QQQ", flags, mode, resolve)


# With RESOLVE_ flags no file is made through a link to what is not there.
DANGLING = ("dangling", "nowhere", "absolute", "outside")


@pytest.mark.parametrize(
    "resolve", [0, XDEV, MAGIC, SYMLINKS, BENEATH, IN_ROOT, BENEATH | IN_ROOT, SYMLINKS | BENEATH, 64]
)
def test_openat2(acts: Path, tmp_path: Path, resolve: int) -> None:
    calls = [
        call
        for target in (*TARGETS, "folder/../../file")
        for flags, mode in (
            (os.O_RDONLY, 0),
            (os.O_RDWR | os.O_CREAT, 0o600),
            (os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600),
            (os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600),
        )
        for call in opened("openat2", AT_FDCWD, target, how(flags, mode, resolve), 24)
        if not (resolve and target in DANGLING and flags & os.O_CREAT and not flags & os.O_EXCL)
    ]
    twice(acts, tmp_path, make, calls, ignored=NOFOLLOW)


def test_what_openat2_refuses(acts: Path, tmp_path: Path) -> None:
    good = how(os.O_RDONLY)
    calls = [
        ("openat2", AT_FDCWD, target, *arguments)
        for target in ("file", "missing", "")
        for arguments in (
            (how(os.O_RDONLY, 0o600), 24),  # a mode, but nothing to create
            (how(os.O_CREAT, 0o100600), 24),
            (how(os.O_PATH | os.O_WRONLY), 24),
            (how(1 << 40), 24),
            (how(os.O_RDONLY, 0, 1 << 40), 24),
            (how(os.O_RDONLY | os.O_TRUNC, 0, CACHED), 24),
            (good, 0),
            (good, 23),
            (good + bytes(8), 32),
            (good + b"\1" + bytes(7), 32),
            (good + bytes(4072), 4096),
            (good + bytes(4073), 4097),
            (good, 2**63),
            (0, 24),
            (1, 24),
        )
    ]
    twice(acts, tmp_path, make, calls)


def test_what_is_cached(acts: Path, tmp_path: Path) -> None:
    calls = [
        ("openat", AT_FDCWD, "file", os.O_RDONLY),
        ("openat2", AT_FDCWD, "file", how(os.O_RDONLY, 0, CACHED), 24),
    ]
    assert [act.error for act in twice(acts, tmp_path, make, calls)] == ["", ""]


def test_descriptors_that_only_name_a_file(acts: Path, tmp_path: Path) -> None:
    """The kernel hands over none that was opened with O_PATH. In its place comes one that reads."""
    (tmp_path / "both").mkdir()
    make(tmp_path / "both")
    box = tool_sandbox([acts], [tmp_path / "both"], cwd=tmp_path / "both")
    flags = os.O_PATH | os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    calls: list[Call] = [
        ("openat", AT_FDCWD, "folder", flags | os.O_DIRECTORY),
        ("openat", Back(1), "inner", flags),
        ("read", Back(1), Buffer(5), 5),
        ("fcntl", Back(2), fcntl.F_GETFD),
        ("openat", AT_FDCWD, "file", os.O_PATH | os.O_DIRECTORY),
        ("openat", AT_FDCWD, "missing", flags),
        ("openat", AT_FDCWD, "link", os.O_PATH | os.O_NOFOLLOW),
        ("openat", AT_FDCWD, "fifo", os.O_PATH),
        ("openat", AT_FDCWD, "/dev/null", os.O_PATH),
        ("openat", AT_FDCWD, "/", os.O_PATH),
        ("openat2", AT_FDCWD, "file", how(os.O_PATH | os.O_NOFOLLOW), 24),
    ]
    done = act(box, acts, calls, handlers=performing())
    assert done[2].data == b"inner"
    assert done[3].result == fcntl.FD_CLOEXEC
    errors = ["ENOTDIR", "ENOENT", "ENOTSUP", "ENOTSUP", "ENOTSUP", "EACCES", ""]
    assert [act.error for act in done[4:]] == errors
