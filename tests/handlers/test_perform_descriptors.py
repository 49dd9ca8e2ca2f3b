"""Paths that lead to what the child has open: /dev/stdin, /dev/fd/3, /proc/self/fd/3, /proc/self/exe."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from sandlock import HandlerCtx, NotifAction, Sandbox
from tests.support.acts import AT_FDCWD, Back, Buffer, Call, act, performing, twice
from tests.support.handlers import Do
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

AT_SYMLINK_FOLLOW = 0x400


@pytest.fixture
def acts(program: Program) -> Path:
    return program("acts")


def make(folder: Path) -> None:
    (folder / "file").write_text("content")
    (folder / "read-only").write_text("content")
    (folder / "read-only").chmod(0o444)
    (folder / "removed").write_text("removed")
    (folder / "folder").mkdir()
    (folder / "folder" / "inner").write_text("inner")
    os.symlink("/proc/self/fd/3", folder / "link")
    os.symlink("link", folder / "link2")
    os.symlink("/dev/fd/3", folder / "folder" / "link")
    os.symlink("/proc/self/fd/", folder / "descriptors")


# Descriptor 3 and those after it are what a test opens first.
NAMES = [
    "/proc/self/fd/3", "/proc/thread-self/fd/3", "/dev/fd/3", "link", "link2", "folder/link", "descriptors/3",
    "/dev/fd//3", "/proc/self/fd/../fd/3", "/proc/self/fd/3/", "/dev/fd/999", "/proc/self/fd/x", "/proc/self/fd/-1",
    "/proc/self/fd/03", "/proc/self/fd", "/dev/fd", "/dev/fd/", "descriptors",
]  # fmt: skip
FOLDERS = ("/proc/self/fd", "/dev/fd", "/dev/fd/", "descriptors")


def same(acts: Path, tmp_path: Path, calls: list[Call]) -> list[str]:
    return [act.error for act in twice(acts, tmp_path, make, calls, readable=["/proc", "/dev"])]


@pytest.mark.parametrize("name", ["file", "read-only", "folder"])
def test_open(acts: Path, tmp_path: Path, name: str) -> None:
    calls: list[Call] = [("openat", AT_FDCWD, name, os.O_RDONLY)]
    for flags in (
        os.O_RDONLY,
        os.O_WRONLY,
        os.O_RDWR | os.O_CREAT,
        os.O_WRONLY | os.O_CREAT | os.O_EXCL,
        os.O_RDONLY | os.O_NOFOLLOW,
        os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC,
        os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    ):
        for path in NAMES:
            calls += [
                ("openat", AT_FDCWD, path, flags, 0o600),
                ("read", Back(1), Buffer(16), 16),
                ("close", Back(2)),
            ]
    same(acts, tmp_path, calls)


@pytest.mark.parametrize("name", ["file", "folder"])
def test_other_calls(acts: Path, tmp_path: Path, name: str) -> None:
    calls: list[Call] = [("openat", AT_FDCWD, name, os.O_RDONLY)]
    for path in NAMES:
        calls += [
            ("newfstatat", AT_FDCWD, path, Buffer(144), 0),
            ("newfstatat", AT_FDCWD, path, Buffer(144), 0x100),
            # A process may write to the folder of its own descriptors, says the kernel, but the deputy is another one.
            ("faccessat", AT_FDCWD, path, os.R_OK if path in FOLDERS else os.R_OK | os.W_OK),
            ("statfs", path, Buffer(120)),
            ("truncate", path, 4),
        ]
        if path not in FOLDERS:
            calls.append(("utimensat", AT_FDCWD, path, 0, 0))
    same(acts, tmp_path, calls)


def test_readlink(acts: Path, tmp_path: Path) -> None:
    calls: list[Call] = [
        ("openat", AT_FDCWD, "file", os.O_RDONLY),
        *(("readlinkat", AT_FDCWD, path, Buffer(4096), 4096) for path in NAMES),
    ]
    done = twice(acts, tmp_path, make, calls, readable=["/proc", "/dev"], same_data=True)
    assert done[1].data.rstrip(b"\0") == os.fsencode(tmp_path / "both" / "file")


def test_files_without_a_name(acts: Path, tmp_path: Path) -> None:
    calls: list[Call] = [
        ("openat", AT_FDCWD, "removed", os.O_RDONLY),
        ("unlinkat", AT_FDCWD, "removed", 0),
        ("openat", AT_FDCWD, "/proc/self/fd/3", os.O_RDWR),
        ("read", Back(1), Buffer(7), 7),
        ("openat", AT_FDCWD, ".", os.O_RDWR | os.O_TMPFILE, 0o600),
        ("linkat", AT_FDCWD, "/proc/self/fd/5", AT_FDCWD, "named", AT_SYMLINK_FOLLOW),
        ("linkat", AT_FDCWD, "/proc/self/fd/5", AT_FDCWD, "named-too", 0),
        ("linkat", AT_FDCWD, "/proc/self/fd/3", AT_FDCWD, "back", AT_SYMLINK_FOLLOW),
        ("memfd_create", "memory", 0),
        ("openat", AT_FDCWD, "/proc/self/fd/6", os.O_RDWR),
        ("pipe2", bytes(8), 0),
        ("openat", AT_FDCWD, "/proc/self/fd/8", os.O_RDONLY | os.O_NONBLOCK),
        ("openat", AT_FDCWD, "/dev/fd/9", os.O_WRONLY),
        ("socket", 1, 1, 0),
        ("openat", AT_FDCWD, "/dev/fd/12", os.O_RDWR),
        ("eventfd2", 0, 0),
        ("openat", AT_FDCWD, "/dev/fd/13", os.O_RDWR),
    ]
    event = "ENXIO" if os.geteuid() == 0 else "EACCES"  # its inode is root's
    assert same(acts, tmp_path, calls) == [
        *["", "", "", "", "", "", "EXDEV", "ENOENT", "", "", "", "", "", "", "ENXIO", "", event]
    ]


def test_other_links_to_what_the_child_has(acts: Path, tmp_path: Path) -> None:
    calls: list[Call] = [
        ("openat", AT_FDCWD, "/proc/self/exe", os.O_RDONLY),
        ("read", Back(1), Buffer(4), 4),
        ("openat", AT_FDCWD, "/proc/self/exe", os.O_WRONLY),
        ("openat", AT_FDCWD, "/proc/self/cwd", os.O_RDONLY | os.O_DIRECTORY),
        ("openat", Back(1), "file", os.O_RDONLY),
        ("openat", AT_FDCWD, "/proc/self/cwd/", os.O_RDONLY),
        ("openat", AT_FDCWD, "/proc/self/root", os.O_RDONLY),
        ("newfstatat", AT_FDCWD, "/proc/thread-self/exe", Buffer(144), 0),
    ]
    assert same(acts, tmp_path, calls) == ["", "", "ETXTBSY", "", "", "", "EACCES", ""]


def test_reopening_is_for_landlock_to_allow(acts: Path, tmp_path: Path) -> None:
    """A descriptor that the child was given of a file beyond its policy gives no right to open it anew."""
    (tmp_path / "secret").write_text("secret")
    give = Do(lambda ctx: NotifAction.inject_fd_send(os.open(tmp_path / "secret", os.O_RDONLY)))
    calls: list[Call] = [
        ("getsid", 0),
        ("read", Back(1), Buffer(6), 6),
        ("openat", AT_FDCWD, "/proc/self/fd/3", os.O_RDONLY),
        ("openat", AT_FDCWD, "/dev/fd/3", os.O_WRONLY),
        ("truncate", "/proc/self/fd/3", 0),
        ("newfstatat", AT_FDCWD, "/proc/self/fd/3", Buffer(144), 0),
    ]
    for handlers in ([], performing()):
        done = act(tool_sandbox([acts, "/proc", "/dev"]), acts, calls, handlers=[("getsid", give), *handlers])
        assert done[1].data == b"secret"
        assert [act.error for act in done[2:]] == ["EACCES", "EACCES", "EACCES", ""]


@pytest.fixture
def shell_box(tmp_path: Path) -> Sandbox:
    return tool_sandbox(["/proc", "/dev"], [tmp_path], cwd=tmp_path)


SCRIPTS = {
    "cat /dev/stdin": b"input\n",
    "cat </dev/fd/0": b"input\n",
    "echo out >/dev/stdout": b"out\n",
    "echo err 2>&1 >/dev/stderr 2>/dev/stdout": b"err\n",
    "echo >>/dev/fd/1 appended": b"appended\n",
    "echo content >file; exec 3<file; cat /dev/fd/3; cat /proc/self/fd/3": b"content\ncontent\n",
    "exec 7>file; echo one >&7; echo two >/dev/fd/7; cat file": b"two\n",
    "test -e /dev/stdin && test -r /dev/fd/0 && echo there": b"there\n",
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_shell(shell_box: Sandbox, script: str) -> None:
    for handlers in ([], performing()):
        result = shell_box.run(["sh", "-c", script], handlers=handlers, input=b"input\n", timeout=60)
        assert (result.stdout, result.stderr, result.handler_errors) == (SCRIPTS[script], b"", [])


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not on PATH")
def test_process_substitution(shell_box: Sandbox, tmp_path: Path) -> None:
    wait = "until [ -e done ]; do :; done"
    script = f"paste <(echo one; echo two) <(seq 2); echo through > >(cat >file; : >done); {wait}; cat file"
    for handlers in ([], performing()):
        result = shell_box.run(["bash", "-c", script], handlers=handlers, timeout=60)
        assert (result.stdout, result.stderr) == (b"one\t1\ntwo\t2\nthrough\n", b"")
        (tmp_path / "done").unlink()


def test_the_descriptor_may_be_replaced_meanwhile(acts: Path, tmp_path: Path) -> None:
    """What is judged is what is opened."""
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    names = []

    def judge(ctx: HandlerCtx) -> NotifAction:
        def look(name: str) -> NotifAction | None:
            names.append(name)
            return None

        return ctx.perform(judge=look)

    calls: list[Call] = [
        ("openat", AT_FDCWD, f"{tmp_path}/a", os.O_RDONLY),
        ("openat2", AT_FDCWD, "/proc/self/fd/3", bytes(24), 24),
        ("openat", AT_FDCWD, f"{tmp_path}/b", os.O_RDONLY),
        ("dup3", 5, 3, 0),
        ("openat2", AT_FDCWD, "/proc/self/fd/3", bytes(24), 24),
    ]
    act(tool_sandbox([acts, "/proc", tmp_path]), acts, calls, handlers=[("openat2", Do(judge))])
    assert names == [f"{tmp_path}/a", f"{tmp_path}/b"]
