"""PathDenyHandler and PathAllowHandler judge what a path leads to, however it is written."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from sandlock import Handler, Sandbox
from sandlock.presets import PathAllowHandler, PathDenyHandler
from tests.support.acts import AT_FDCWD, PERFORMED, Back, Buffer, Call, Text, act
from tests.support.programs import Program
from tests.support.sandboxes import SYSTEM_PATHS, tool_sandbox

OPEN = "open" if "open" in PERFORMED else "openat"


@pytest.fixture
def acts(program: Program) -> Path:
    return program("acts")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make two folders, of which one is for the child."""
    folder = tmp_path / "folder"
    for name in ("public", "private"):
        (folder / name / "deep").mkdir(parents=True)
        (folder / name / "file").write_text(name)
    os.symlink("../private/file", folder / "public" / "tofile")
    os.symlink("../private", folder / "public" / "tofolder")
    os.symlink(folder / "private", folder / "public" / "absolute")
    os.symlink("../public/file", folder / "private" / "back")
    return folder


@pytest.fixture
def box(acts: Path, folder: Path) -> Sandbox:
    return tool_sandbox([acts, "/proc"], [folder], cwd=folder)


def deny(folder: Path) -> Handler:
    return PathDenyHandler([f"{folder}/private/*", f"{folder}/private"])


def allow(folder: Path) -> Handler:
    return PathAllowHandler([f"{folder}/public/*", f"{folder}/public", "/dev/null", *(f"{p}/*" for p in SYSTEM_PATHS)])


HANDLERS = {"deny": (deny, "EPERM"), "allow": (allow, "EACCES")}


def errors(box: Sandbox, acts: Path, handler: Handler, *calls: Call) -> list[str]:
    """Return the errors of calls that all have the handler."""
    names = {str(call[0]) for call in calls} & set(PERFORMED)
    return [done.error for done in act(box, acts, calls, handlers=[(name, handler) for name in names])]


WAYS_IN = [
    "private/file", "./private/file", "public/../private/file", "public/deep/../../private/file", "private//file",
    "public/tofile", "public/tofolder/file", "public/absolute/file", "public/tofolder/../private/file", "private/",
    "@/private/file", "@/public/../private/./file", "/proc/self/cwd/../folder/private/file", "private/deep/../file",
    "private", "public/tofolder", "public/tofolder/", "public/tofolder/.",
]  # fmt: skip

WAYS_TO_OWN = [
    "public/file", "./public//file", "private/../public/file", "public/tofolder/../public/file", "@/public/file",
    "public", "public/deep", "public/deep/..",
]  # fmt: skip


@pytest.mark.parametrize("preset", HANDLERS)
def test_every_way(box: Sandbox, acts: Path, folder: Path, preset: str) -> None:
    make, refused = HANDLERS[preset]
    for ways, expected in ((WAYS_IN, {refused}), (WAYS_TO_OWN, {""})):
        calls = [("openat", AT_FDCWD, way.replace("@", str(folder)), os.O_RDONLY) for way in ways]
        got = dict(zip(ways, errors(box, acts, make(folder), *calls)))
        if ways is WAYS_IN:  # a magic link on the way is refused before there is a file to judge
            assert got.pop("/proc/self/cwd/../folder/private/file") in (refused, "ELOOP")
        assert set(got.values()) == expected, got
    call = ("openat", AT_FDCWD, "private/back", os.O_RDONLY)  # a link: it may not be used, but what it leads to
    assert errors(box, acts, make(folder), call) == ["EPERM" if preset == "deny" else ""]


@pytest.mark.parametrize("preset", HANDLERS)
def test_every_call(box: Sandbox, acts: Path, folder: Path, preset: str) -> None:
    make, refused = HANDLERS[preset]
    calls: list[Call] = [
        (OPEN, "private/file", os.O_RDONLY) if OPEN == "open" else (OPEN, AT_FDCWD, "private/file", os.O_RDONLY),
        ("openat", AT_FDCWD, "private/new", os.O_WRONLY | os.O_CREAT, 0o600),
        ("openat", AT_FDCWD, "private/file", os.O_WRONLY | os.O_TRUNC),
        ("openat2", AT_FDCWD, "private/file", bytes(24), 24),
        ("newfstatat", AT_FDCWD, "private/file", Buffer(144), 0),
        ("statx", AT_FDCWD, "private/file", 0, 0xFFF, Buffer(256)),
        ("faccessat", AT_FDCWD, "private/file", 0),
        ("faccessat2", AT_FDCWD, "private/file", 0, 0),
        ("readlinkat", AT_FDCWD, "private/back", Buffer(64), 64),
        ("unlinkat", AT_FDCWD, "private/file", 0),
        ("unlinkat", AT_FDCWD, "private/deep", 0x200),
        ("mkdirat", AT_FDCWD, "private/new", 0o700),
        ("mknodat", AT_FDCWD, "private/new", 0o010600, 0),
        ("renameat2", AT_FDCWD, "private/file", AT_FDCWD, "public/new", 0),
        ("renameat2", AT_FDCWD, "public/file", AT_FDCWD, "private/new", 0),
        ("linkat", AT_FDCWD, "private/file", AT_FDCWD, "public/new", 0),
        ("linkat", AT_FDCWD, "public/file", AT_FDCWD, "private/new", 0),
        ("symlinkat", "x", AT_FDCWD, "private/new"),
        ("fchmodat", AT_FDCWD, "private/file", 0),
        ("fchmodat2", AT_FDCWD, "private/file", 0, 0),
        ("fchownat", AT_FDCWD, "private/file", -1, -1, 0),
        ("truncate", "private/file", 0),
        ("utimensat", AT_FDCWD, "private/file", 0, 0),
        ("statfs", "private/file", Buffer(120)),
    ]
    got = errors(box, acts, make(folder), *calls)
    assert {str(call[0]): error for call, error in zip(calls, got)} == {str(call[0]): refused for call in calls}
    assert got == [refused] * len(calls)
    assert (folder / "private" / "file").read_text() == "private"
    assert sorted(os.listdir(folder / "private")) == ["back", "deep", "file"]


@pytest.mark.parametrize("preset", HANDLERS)
def test_links_that_the_child_plants(box: Sandbox, acts: Path, folder: Path, preset: str) -> None:
    make, refused = HANDLERS[preset]
    calls: list[Call] = [
        ("symlinkat", "../private/file", AT_FDCWD, "public/planted"),
        ("openat", AT_FDCWD, "public/planted", os.O_RDONLY),
        ("symlinkat", "../private", AT_FDCWD, "public/planted-folder"),
        ("openat", AT_FDCWD, "public/planted-folder/file", os.O_RDONLY),
        ("openat", AT_FDCWD, "public/planted-folder/new", os.O_WRONLY | os.O_CREAT, 0o600),
        ("mkdirat", AT_FDCWD, "public/planted-folder/new", 0o700),
        ("symlinkat", "../private/new", AT_FDCWD, "public/dangling"),
        ("openat", AT_FDCWD, "public/dangling", os.O_WRONLY | os.O_CREAT, 0o600),
        ("unlinkat", AT_FDCWD, "public/planted", 0),
        ("unlinkat", AT_FDCWD, "public/planted-folder/file", 0),
        ("symlinkat", "file", AT_FDCWD, "public/harmless"),
        ("openat", AT_FDCWD, "public/harmless", os.O_RDONLY),
    ]
    got = errors(box, acts, make(folder), *calls)
    assert got == ["", refused, "", refused, refused, refused, "", refused, "", refused, "", ""]
    assert sorted(os.listdir(folder / "private")) == ["back", "deep", "file"]


@pytest.mark.parametrize("preset", HANDLERS)
def test_folders_of_descriptors(box: Sandbox, acts: Path, folder: Path, preset: str) -> None:
    make, refused = HANDLERS[preset]
    calls: list[Call] = [
        ("openat", AT_FDCWD, "public", os.O_RDONLY),
        ("openat", Back(1), "file", os.O_RDONLY),
        ("openat", Back(2), "../private/file", os.O_RDONLY),
        ("openat", Back(3), "tofile", os.O_RDONLY),
        ("newfstatat", Back(4), "", Buffer(144), 0x1000),
        ("chdir", "private"),
        ("openat", AT_FDCWD, "file", os.O_RDONLY),
        ("openat", AT_FDCWD, ".", os.O_RDONLY),
        ("openat", AT_FDCWD, "../public/file", os.O_RDONLY),
        ("newfstatat", AT_FDCWD, "file", Buffer(144), 0),
    ]
    got = errors(box, acts, make(folder), *calls)
    assert got == ["", "", refused, refused, "", "", refused, refused, "", refused]


@pytest.mark.parametrize("preset", HANDLERS)
def test_a_folder_that_is_renamed(box: Sandbox, acts: Path, folder: Path, preset: str) -> None:
    """Names are judged as they are by then."""
    make, refused = HANDLERS[preset]
    calls: list[Call] = [
        ("openat", AT_FDCWD, "public/deep", os.O_RDONLY),
        ("rename", "public/deep", "private/moved")
        if OPEN == "open"
        else ("renameat", -100, "public/deep", -100, "private/moved"),
        ("openat", Back(2), "../file", os.O_RDONLY),
    ]
    names = ["openat"]
    got = [found.error for found in act(box, acts, calls, handlers=[(name, make(folder)) for name in names])]
    assert got[0] == ""
    if not got[1]:  # the kernel may refuse to move it
        assert got[2] == refused


def test_own_errno(box: Sandbox, acts: Path, folder: Path) -> None:
    call = ("openat", AT_FDCWD, "private/file", os.O_RDONLY)
    assert errors(box, acts, PathDenyHandler(["*/private/*"], errno=errno.ENOENT), call) == ["ENOENT"]
    others = [f"{path}/*" for path in SYSTEM_PATHS]
    assert errors(box, acts, PathAllowHandler(others, errno=errno.EROFS), call) == ["EROFS"]


def test_patterns_that_name_what_is_written(box: Sandbox, acts: Path, folder: Path) -> None:
    """A deny list also matches the path as it is written, and a link as itself."""
    calls: list[Call] = [
        ("openat", AT_FDCWD, name, os.O_RDONLY) for name in ("public/tofile", "./public/tofile", "public/file")
    ]
    assert errors(box, acts, PathDenyHandler(["public/to*"]), *calls) == ["EPERM", "", ""]
    assert errors(box, acts, PathDenyHandler([f"{folder}/public/tofile"]), *calls) == ["EPERM", "EPERM", ""]
    calls = [("symlinkat", "/secret/x", AT_FDCWD, "public/planted")]
    assert errors(box, acts, PathDenyHandler(["/secret/*"]), *calls) == ["EPERM"]


def test_patterns_through_links(box: Sandbox, acts: Path, folder: Path) -> None:
    """A folder in a pattern may be a link: /lib is one on many systems."""
    calls: list[Call] = [("openat", AT_FDCWD, name, os.O_RDONLY) for name in ("private/file", "public/file")]
    assert errors(box, acts, PathDenyHandler([f"{folder}/public/tofolder/*"]), *calls) == ["EPERM", ""]
    others = [f"{path}/*" for path in SYSTEM_PATHS]
    assert errors(box, acts, PathAllowHandler([f"{folder}/public/absolute/*", *others]), *calls) == ["", "EACCES"]


def test_names_that_are_no_utf8(box: Sandbox, acts: Path, folder: Path) -> None:
    name = os.fsdecode(b"caf\xe9")
    (folder / "private" / name).touch()
    call = ("openat", AT_FDCWD, Text(b"public/../private/caf\xe9"), os.O_RDONLY)
    assert errors(box, acts, PathDenyHandler([f"{folder}/private/{name}"]), call) == ["EPERM"]
    assert errors(box, acts, PathDenyHandler([f"{folder}/private/other"]), call) == [""]


def test_long_paths(box: Sandbox, acts: Path, folder: Path) -> None:
    """Longer than the allow list takes is refused; a deny list looks at all of it."""
    long = "./" * 2040 + "private/file"
    calls: list[Call] = [("openat2", AT_FDCWD, path, bytes(24), 24) for path in ("public/file", "public/./file", long)]
    assert errors(box, acts, PathAllowHandler([f"{folder}/*"]), *calls) == ["", "", ""]
    assert errors(box, acts, PathAllowHandler([f"{folder}/*"], max_len=11), *calls) == ["", "EACCES", "EACCES"]
    assert errors(box, acts, PathDenyHandler([f"{folder}/private/*"], max_len=4), *calls) == ["", "", "EPERM"]


def test_own_folder_in_proc(box: Sandbox, acts: Path, folder: Path) -> None:
    """Patterns may say /proc/self."""
    calls: list[Call] = [
        ("openat", AT_FDCWD, f"/proc/{name}", os.O_RDONLY) for name in ("self/status", "self/stat", "thread-self/stat")
    ]
    assert errors(box, acts, PathDenyHandler(["/proc/self/status"]), *calls) == ["EPERM", "", ""]
    others = [f"{path}/*" for path in SYSTEM_PATHS]
    assert errors(box, acts, PathAllowHandler(["/proc/self/stat", *others]), *calls) == ["EACCES", "", "EACCES"]


def test_calls_that_are_left_to_the_kernel(box: Sandbox, acts: Path, folder: Path) -> None:
    for preset in HANDLERS:
        make, refused = HANDLERS[preset]
        handler = make(folder)
        calls: list[Call] = [("chdir", "private"), ("chdir", "public/tofolder"), ("chdir", "public"), ("chdir", 1)]
        got = [found.error for found in act(box, acts, calls, handlers=[("chdir", handler)])]
        assert got == [refused, refused, "", "EFAULT" if preset == "deny" else refused]


@pytest.mark.parametrize("kind", [PathAllowHandler, PathDenyHandler])
@pytest.mark.parametrize(("most", "error"), [("x", TypeError), (True, TypeError), (0, ValueError)])
def test_wrong_lengths(kind: Any, most: object, error: type[Exception]) -> None:
    with pytest.raises(error, match=f"max_len must be .*, not {most!r}"):
        kind(["/x"], max_len=most)
