"""resolve_path tells what a path means for the child."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sandlock import HandlerCtx, NotifAction, Sandbox
from sandlock.handler import ResolvedPath
from tests.support.acts import AT_FDCWD, Back, Call, Text, act, known
from tests.support.handlers import Do
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox


@pytest.fixture
def acts(program: Program) -> Path:
    return program("acts")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Make a folder with links."""
    folder = tmp_path / "folder"
    (folder / "real" / "deep").mkdir(parents=True)
    (folder / "real" / "file").touch()
    for link, target in {
        "link": "real/file",
        "chain": "link",
        "tofolder": "real",
        "absolute": str(folder / "real" / "deep"),
        "up": "real/deep/..",
        "dangling": "missing",
        "loop": "loop",
        "own": "/proc/self/status",
        "real/back": "../link",
    }.items():
        os.symlink(target, folder / link)
    return folder


class Resolve(Do):
    """Keeps what resolve_path gives, and answers 0."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(self._resolve)
        self._arguments = arguments
        self.seen: list[ResolvedPath] = []

    def _resolve(self, ctx: HandlerCtx) -> NotifAction:
        self.seen.append(ctx.resolve_path(*self._arguments))
        return NotifAction.returns(0)


def resolved(acts: Path, folder: Path, *calls: Call, box: Sandbox | None = None) -> list[ResolvedPath]:
    """Return what the paths of calls of mkdirat mean."""
    resolve = Resolve()
    act(box or tool_sandbox([acts, folder], cwd=folder), acts, calls, handlers=[("mkdirat", resolve)])
    return resolve.seen


PATHS: dict[str, tuple[str, str, list[str]]] = {
    "real/file": ("real/file", "real/file", []),
    "./real//./file": ("real/file", "real/file", []),
    "real/deep/../file": ("real/file", "real/file", []),
    "real/": ("real", "real", []),
    ".": ("", "", []),
    "": ("", "", []),
    "@/real/file": ("real/file", "real/file", []),
    "missing/x": ("missing/x", "missing/x", []),
    "link": ("link", "real/file", ["link"]),
    "chain": ("chain", "real/file", ["chain", "link"]),
    "tofolder/file": ("real/file", "real/file", ["tofolder"]),
    "tofolder/../link": ("link", "real/file", ["tofolder", "link"]),
    "tofolder/back": ("real/back", "real/file", ["tofolder", "real/back", "link"]),
    "absolute": ("absolute", "real/deep", ["absolute"]),
    "absolute/../file": ("real/file", "real/file", ["absolute"]),
    "up/file": ("real/file", "real/file", ["up"]),
    "dangling": ("dangling", "missing", ["dangling"]),
    "dangling/x": ("missing/x", "missing/x", ["dangling"]),
}


@pytest.mark.parametrize("path", PATHS)
def test_relative_to_the_working_directory(acts: Path, folder: Path, path: str) -> None:
    name, target, links = PATHS[path]
    (seen,) = resolved(acts, folder, ("mkdirat", AT_FDCWD, path.replace("@", str(folder)), 0))

    def absolute(name: str) -> str:
        return f"{folder}/{name}".rstrip("/")

    assert (seen.path, seen.target, seen.symlinks) == (absolute(name), absolute(target), tuple(map(absolute, links)))


def test_more_links_than_the_kernel_follows(acts: Path, folder: Path) -> None:
    """There is an end to it, and no error."""
    (seen,) = resolved(acts, folder, ("mkdirat", AT_FDCWD, "loop", 0))
    assert seen.target == f"{folder}/loop"


def test_absolute_paths(acts: Path, folder: Path) -> None:
    paths = ["/", "//", "/..", "/../../x", "/x/../y", "/nonexistent/../x"]
    seen = resolved(acts, folder, *(("mkdirat", AT_FDCWD, path, 0) for path in paths))
    assert [found.path for found in seen] == ["/", "/", "/", "/x", "/y", "/x"]


def test_relative_to_a_descriptor(acts: Path, folder: Path) -> None:
    calls: list[Call] = [
        ("openat", AT_FDCWD, "tofolder", os.O_RDONLY | os.O_DIRECTORY),
        ("mkdirat", Back(1), "deep/x", 0),
        ("mkdirat", Back(2), "../link", 0),
        ("mkdirat", Back(3), "/absolute", 0),
        ("mkdirat", 2**32 - 100, "x", 0),
    ]
    seen = resolved(acts, folder, *calls)
    assert [found.path for found in seen] == [f"{folder}/real/deep/x", f"{folder}/link", "/absolute", f"{folder}/x"]


def test_the_working_directory_may_change(acts: Path, folder: Path) -> None:
    calls: list[Call] = [
        ("chdir", "real"),
        ("mkdirat", AT_FDCWD, "x", 0),
        ("chdir", "/"),
        ("mkdirat", AT_FDCWD, "x", 0),
    ]
    assert [found.path for found in resolved(acts, folder, *calls)] == [f"{folder}/real/x", "/x"]


def test_proc_self_is_the_child(acts: Path, folder: Path) -> None:
    paths = [
        "/proc/self/status",
        "/proc/self",
        "/proc/thread-self/x",
        "own",
        "/proc/self/cwd",
        "/proc/self/cwd/real",
        "/proc/mounts",
    ]
    box = tool_sandbox([acts, folder, "/proc"], cwd=folder)
    pids: list[int] = []
    seen: list[ResolvedPath] = []

    def note(ctx: HandlerCtx) -> NotifAction:
        pids.append(ctx.pid)
        seen.append(ctx.resolve_path())
        return NotifAction.returns(0)

    act(box, acts, [("mkdirat", AT_FDCWD, path, 0) for path in paths], handlers=[("mkdirat", Do(note))])
    own = f"/proc/{pids[0]}"
    assert pids[0] != os.getpid()
    assert [found.path for found in seen] == [
        f"{own}/status", "/proc/self", f"{own}/task/{pids[0]}/x", f"{folder}/own", f"{own}/cwd", f"{folder}/real",
        "/proc/mounts",
    ]  # fmt: skip
    assert [found.target for found in seen] == [
        f"{own}/status", own, f"{own}/task/{pids[0]}/x", f"{own}/status", str(folder), f"{folder}/real",
        f"{own}/mounts",
    ]  # fmt: skip
    assert seen[0].symlinks == ("/proc/self",)
    assert seen[3].symlinks == (f"{folder}/own", "/proc/self")


def test_descriptors_without_a_path(acts: Path, folder: Path) -> None:
    """What a pipe's link says is no path."""
    box = tool_sandbox([acts, folder, "/proc"], cwd=folder)
    (seen,) = resolved(acts, folder, ("mkdirat", AT_FDCWD, "/dev/stdout", 0), box=box)
    assert seen.path == "/dev/stdout"
    assert seen.target.endswith("/fd/1")


def test_names_that_are_no_utf8(acts: Path, folder: Path) -> None:
    (seen,) = resolved(acts, folder, ("mkdirat", AT_FDCWD, Text(b"caf\xe9/\xff"), 0))
    assert os.fsencode(seen.path) == os.fsencode(folder) + b"/caf\xe9/\xff"


def test_a_given_path(acts: Path, folder: Path) -> None:
    """The one that was read and judged, not what is in the memory by now."""
    resolve = Resolve(1, "tofolder/file")
    act(
        tool_sandbox([acts, folder], cwd=folder), acts, [("mkdirat", AT_FDCWD, "x", 0)], handlers=[("mkdirat", resolve)]
    )
    assert resolve.seen[0].path == f"{folder}/real/file"


TWO_PATHS = {
    "renameat2": (Back(1), "a", Back(2), "b", 0),
    "renameat": (Back(1), "a", Back(2), "b"),
    "linkat": (Back(1), "a", Back(2), "b", 0),
    "rename": ("a", "b"),
    "link": ("a", "b"),
    "symlink": ("a", "b"),
    "symlinkat": ("a", Back(2), "b"),
}


@pytest.mark.parametrize("name", TWO_PATHS)
def test_calls_with_two_paths(acts: Path, folder: Path, name: str) -> None:
    """Each path is relative to the folder beside it."""
    if not known(name):
        pytest.skip(f"this machine has no {name}")
    arguments = TWO_PATHS[name]
    positions = [position for position, argument in enumerate(arguments) if argument in ("a", "b")]
    found: list[str] = []

    def note(ctx: HandlerCtx) -> NotifAction:
        with pytest.raises(ValueError, match="two paths"):
            ctx.resolve_path()
        found.extend(ctx.resolve_path(position).path for position in positions)
        return NotifAction.returns(0)

    calls: list[Call] = [
        ("openat", AT_FDCWD, "real/deep", os.O_RDONLY),
        ("openat", AT_FDCWD, "real", os.O_RDONLY),
        (name, *arguments),
    ]
    act(tool_sandbox([acts, folder], cwd=folder), acts, calls, handlers=[(name, Do(note))])
    expected = {
        "renameat2": ["real/a", "real/deep/b"],
        "renameat": ["real/a", "real/deep/b"],
        "linkat": ["real/a", "real/deep/b"],
        "symlinkat": ["a", "real/deep/b"],
    }
    assert found == [f"{folder}/{name}" for name in expected.get(name, ["a", "b"])]
