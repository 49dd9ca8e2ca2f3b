"""What Landlock rules about files, at its edges, and what it does not: each as docs/threat-model.md says."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from sandlock import StdioMode
from tests.support.acts import AT_FDCWD, Back, Buffer, act
from tests.support.programs import Program
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

AT_EMPTY_PATH = 0x1000


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    """A file in each of the folders read, write and none, and "deep" in the second and "secret" beside them."""
    for name in ("read", "write/deep", "none"):
        (tmp_path / name).mkdir(parents=True)
    for path in ("read/file", "write/file", "none/file", "secret"):
        (tmp_path / path).write_text("content")
    return tmp_path


def test_what_may_only_be_read_keeps_its_content(program: Program, folders: Path) -> None:
    """By path, by a descriptor for reading, by one that only names the file, and by opening it anew through those."""
    acts = program("acts")
    box = tool_sandbox([acts, folders / "read", "/proc"])
    path = f"{folders}/read/file"
    done = act(
        box,
        acts,
        [
            ("openat", AT_FDCWD, path, os.O_RDONLY),
            ("ftruncate", Back(1), 0),
            ("fallocate", Back(2), 0, 0, 100),
            ("pwrite64", Back(3), b"x", 1, 0),
            ("mmap", 0, 4096, 2, 1, Back(4), 0),  # writable and shared
            ("openat", AT_FDCWD, path, os.O_PATH),
            ("ftruncate", Back(1), 0),
            ("openat", AT_FDCWD, f"/proc/self/fd/{3}", os.O_RDWR),
            ("openat", AT_FDCWD, f"/proc/self/fd/{4}", os.O_WRONLY),
            ("truncate", path, 0),
            ("openat", AT_FDCWD, path, os.O_RDONLY | os.O_TRUNC),
            ("openat", AT_FDCWD, f"{folders}/read", os.O_TMPFILE | os.O_RDWR, 0o600),
            ("linkat", Back(12), "", AT_FDCWD, f"{folders}/read/link", AT_EMPTY_PATH),
        ],
    )
    assert [step.error for step in done[:2]] == ["", "EINVAL"]
    assert [step.error for step in done[2:7]] == ["EBADF", "EBADF", "EACCES", "", "EBADF"]
    assert {step.error for step in done[7:12]} == {"EACCES"}
    assert done[12].error in ("EACCES", "EXDEV", "EPERM")
    assert (folders / "read/file").read_text() == "content"
    assert os.listdir(folders / "read") == ["file"]


# A second thread moves a folder to and fro, and the way up from it leads through wherever it is.
MOVING = """
import os, sys, threading
tries, over = 1000, threading.Event()

def move():
    while not over.is_set():
        os.rename("write/deep", "other/deep")
        os.rename("other/deep", "write/deep")

folder = os.open("write/deep", os.O_RDONLY)
mover = threading.Thread(target=move)
mover.start()
found = set()
for path in ("../../secret", "../../none/file", "../../read/file", "../file"):
    for _ in range(tries):
        try:
            os.close(os.open(path, os.O_RDONLY, dir_fd=folder))
            found.add(path)
        except (PermissionError, FileNotFoundError):
            pass
over.set()
mover.join()
print(sorted(found))
"""


def test_a_folder_that_moves_meanwhile(folders: Path) -> None:
    """Between two places with rules of their own; what is found through it is judged where it is."""
    (folders / "other").mkdir()
    box = tool_sandbox([*PYTHON_PATHS, folders / "read"], [folders / "write", folders / "other"], cwd=folders)
    result = box.run([sys.executable, "-Ic", MOVING], timeout=60, check=True)
    found = result.stdout.decode()
    assert "../../read/file" in found
    assert "secret" not in found
    assert "none" not in found


# Both threads see to it that a name is now a file that may be written, now a link to one that may not.
SWAPPING = """
import os, sys, threading
over = threading.Event()
os.symlink("../read/file", "write/link")

def swap():
    while not over.is_set():
        os.rename("write/link", "write/spare")
        os.symlink("../read/file", "write/link")
        os.rename("write/file", "write/kept")
        os.rename("write/kept", "write/link")
        os.rename("write/link", "write/file")
        os.rename("write/spare", "write/link")

swapper = threading.Thread(target=swap)
swapper.start()
for _ in range(1000):
    try:
        with open("write/link", "r+") as file:
            file.write("changed")
    except (PermissionError, FileNotFoundError):
        pass
over.set()
swapper.join()
"""


def test_a_link_that_appears_meanwhile(folders: Path) -> None:
    box = tool_sandbox([*PYTHON_PATHS, folders / "read"], [folders / "write"], cwd=folders)
    box.run([sys.executable, "-Ic", SWAPPING], timeout=60, check=True)
    assert (folders / "read/file").read_text() == "content"


def test_metadata_is_not_protected(program: Program, folders: Path) -> None:
    """Modes, times and attributes of files of this user change wherever they are, their content does not."""
    acts = program("acts")
    path = f"{folders}/none/file"
    box = tool_sandbox([acts])
    done = act(
        box,
        acts,
        [
            ("fchmodat", AT_FDCWD, path, 0o600),
            ("utimensat", AT_FDCWD, path, bytes(32), 0),
            ("fchownat", AT_FDCWD, path, os.geteuid(), os.getegid(), 0),
            ("readlinkat", AT_FDCWD, path, Buffer(10), 10),
            ("faccessat", AT_FDCWD, path, os.R_OK),
            ("chdir", f"{folders}/none"),
            ("openat", AT_FDCWD, "file", os.O_RDONLY),
            ("truncate", path, 0),
            ("renameat", AT_FDCWD, path, AT_FDCWD, f"{folders}/none/moved"),
        ],
    )
    assert [step.error for step in done] == ["", "", "", "EINVAL", "", "", "EACCES", "EACCES", "EACCES"]
    status = (folders / "none/file").stat()
    assert (status.st_mode & 0o777, status.st_mtime) == (0o600, 0)


OWN = [
    "mem",
    "uid_map",
    "gid_map",
    "setgroups",
    "oom_score_adj",
    "coredump_filter",
    "attr/current",
    "comm",
    "clear_refs",
]


def test_nothing_of_proc_is_written_where_it_may_be_read(program: Program) -> None:
    """Neither what is the command's own, nor the kernel's settings, which are root's to write without a capability."""
    acts = program("acts")
    paths = [f"/proc/self/{name}" for name in OWN] + ["/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern"]
    paths = [path for path in paths if os.path.exists(path)]
    done = act(tool_sandbox([acts, "/proc"]), acts, [("openat", AT_FDCWD, path, os.O_WRONLY) for path in paths])
    assert {path: step.error for path, step in zip(paths, done)} == dict.fromkeys(paths, "EACCES")


def test_devices_take_no_commands_where_they_may_be_read(program: Program) -> None:
    """What they do is for who may write them; what is every file's, as FIONREAD, is not the device's."""
    acts = program("acts")
    rndgetentcnt, tcgets = 0x80045200, 0x5401
    calls = [
        ("openat", AT_FDCWD, "/dev/urandom", os.O_RDONLY),
        ("ioctl", Back(1), rndgetentcnt, bytes(4)),
        ("ioctl", Back(2), tcgets, bytes(64)),
    ]
    for box, error in ((tool_sandbox([acts, "/dev/urandom"]), "EACCES"), (tool_sandbox([acts], ["/dev/urandom"]), "")):
        done = act(box, acts, calls)
        assert (done[0].error, done[1].error) == ("", error)


PLANT = 'mv "$0/target" "$0/kept" && ln -s "$1" "$0/target"'


@pytest.mark.parametrize("field", ["fs_readable", "fs_writable", "fs_denied"])
def test_a_link_for_the_next_run(folders: Path, field: str) -> None:
    """The first run puts a link in the place of what the policy names; the next one does not follow it."""
    (folders / "write/target").mkdir()
    box = tool_sandbox(writable=[folders / "write"])
    setattr(box, field, [*getattr(box, field), folders / "write/target"])
    planted = box.run(["sh", "-c", PLANT, folders / "write", folders / "none"], timeout=60)
    if field == "fs_denied":
        assert not planted.success  # names beside what is denied do not change
        return
    assert planted.success, planted.stderr
    with pytest.raises(ValueError, match=f"{field}.*a symbolic link in a folder that the command may write"):
        box.run(["cat", folders / "none/file"], timeout=60)


def test_what_replaces_a_granted_file_has_no_rule(folders: Path) -> None:
    """As editors do. What the next run grants is what is there then."""
    box = tool_sandbox([folders / "read/file"])
    process = box.popen(
        ["sh", "-c", f"read line; cat {folders}/read/file"], stdin=StdioMode.PIPED, stdout=StdioMode.PIPED
    )
    with process:
        (folders / "none/new").write_text("new")
        os.replace(folders / "none/new", folders / "read/file")
        assert process.communicate(b"\n")[0] == b""
    assert box.run(["cat", folders / "read/file"], timeout=60).stdout == b"new"
