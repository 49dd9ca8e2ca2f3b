"""A call is performed with the child's credentials of that moment, and the host keeps its own."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path
from typing import Callable

import pytest

from tests.support.acts import AT_FDCWD, Act, Back, Buffer, Call, twice
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has other credentials to give to the child")

AT_EACCESS = 0x200
NOBODY, GROUP = 65534, 4242
PR_GET_DUMPABLE = 3
CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH, CAP_FOWNER = range(4)
ALL = 2**41 - 1


@pytest.fixture
def acts(program: Program) -> Path:
    return program("acts")


def make(folder: Path) -> None:
    folder.parent.chmod(0o755)
    folder.chmod(0o755)
    for name, owner, group, mode in (
        ("roots", 0, 0, 0o600),
        ("nobodys", NOBODY, NOBODY, 0o600),
        ("groups", 0, GROUP, 0o640),
        ("everybodys", 0, 0, 0o666),
    ):
        (folder / name).write_text(name)
        os.chown(folder / name, owner, group)
        (folder / name).chmod(mode)
    (folder / "public").mkdir()
    (folder / "public").chmod(0o777)
    (folder / "sticky").mkdir()
    (folder / "sticky").chmod(0o1777)
    (folder / "sticky" / "roots").touch()
    (folder / "private").mkdir(0o700)
    (folder / "private" / "file").touch(0o666)


FILES = ("roots", "nobodys", "groups", "everybodys", "private/file")


def uses(step: str) -> list[Call]:
    """Try what depends on credentials. The files that are made have ``step`` in their names."""
    calls: list[Call] = []
    for file in FILES:
        calls += [
            ("openat", AT_FDCWD, file, os.O_RDONLY),
            ("openat", AT_FDCWD, file, os.O_WRONLY),
            ("openat", AT_FDCWD, file, os.O_RDONLY | os.O_NOATIME),
            ("faccessat", AT_FDCWD, file, os.R_OK | os.W_OK),
            ("faccessat2", AT_FDCWD, file, os.R_OK, AT_EACCESS),
            ("newfstatat", AT_FDCWD, file, Buffer(144), 0),
            ("fchmodat", AT_FDCWD, file, 0o640 if file == "groups" else 0o666 if file == "everybodys" else 0o600),
            ("fchownat", AT_FDCWD, file, -1, GROUP if file == "groups" else -1, 0),
            ("truncate", file, 3),
            ("utimensat", AT_FDCWD, file, struct.pack("=qqqq", 1, 2, 3, 4), 0),
        ]
    return [
        *calls,
        ("openat", AT_FDCWD, f"public/{step}", os.O_WRONLY | os.O_CREAT, 0o640),
        ("mkdirat", AT_FDCWD, f"public/{step}-folder", 0o750),
        ("symlinkat", "text", AT_FDCWD, f"public/{step}-link"),
        ("linkat", AT_FDCWD, "roots", AT_FDCWD, f"public/{step}-linked", 0),
        ("openat", AT_FDCWD, f"private/{step}", os.O_WRONLY | os.O_CREAT, 0o640),
        ("openat", AT_FDCWD, step, os.O_WRONLY | os.O_CREAT, 0o640),
        ("unlinkat", AT_FDCWD, "sticky/roots", 0),
        ("renameat2", AT_FDCWD, "everybodys", AT_FDCWD, "everybodys", 0),
    ]


def errors(done: list[Act], calls: list[Call], name: str) -> list[str]:
    """Return the errors of the calls that open a file to read it."""
    opens = ("openat", AT_FDCWD, name, os.O_RDONLY)
    return [act.error for act, call in zip(done, calls) if tuple(call) == opens]


def test_effective_user(acts: Path, tmp_path: Path) -> None:
    calls: list[Call] = [
        *uses("root"),
        ("setresuid", -1, NOBODY, 0),
        *uses("nobody"),
        ("setresuid", -1, 0, -1),
        *uses("root-again"),
    ]
    done = twice(acts, tmp_path, make, calls)
    assert errors(done, calls, "roots") == ["", "EACCES", ""]
    assert (tmp_path / "performed" / "public" / "nobody").stat().st_uid == NOBODY


def test_real_user(acts: Path, tmp_path: Path) -> None:
    """access(2) looks at the real user."""
    calls: list[Call] = [("setresuid", NOBODY, 0, 0), *uses("root"), ("setresuid", 0, -1, -1), *uses("root-again")]
    done = twice(acts, tmp_path, make, calls)
    accesses = [act.error for act, call in zip(done, calls) if call[:3] == ("faccessat", AT_FDCWD, "roots")]
    assert accesses == ["EACCES", ""]


def test_all_users_for_good(acts: Path, tmp_path: Path) -> None:
    calls: list[Call] = [("setresuid", NOBODY, NOBODY, NOBODY), *uses("nobody")]
    assert errors(twice(acts, tmp_path, make, calls), calls, "roots") == ["EACCES"]


def test_user_of_the_file_system(acts: Path, tmp_path: Path) -> None:
    calls: list[Call] = [("setfsuid", NOBODY), *uses("nobody"), ("setfsuid", 0), *uses("root")]
    assert errors(twice(acts, tmp_path, make, calls), calls, "roots") == ["EACCES", ""]


def test_groups(acts: Path, tmp_path: Path) -> None:
    calls: list[Call] = [
        ("setgroups", 3, struct.pack("=III", 7, GROUP, 9)),
        ("setresuid", -1, NOBODY, 0),
        *uses("member"),
        ("setresuid", -1, 0, -1),
        ("setgroups", 0, 0),
        ("setresgid", -1, GROUP, 0),
        ("setresuid", -1, NOBODY, 0),
        *uses("group"),
        ("setresuid", -1, 0, -1),
        ("setresgid", NOBODY, NOBODY, NOBODY),
        ("setresuid", -1, NOBODY, 0),
        *uses("stranger"),
    ]
    done = twice(acts, tmp_path, make, calls)
    assert errors(done, calls, "groups") == ["", "", "EACCES"]
    assert (tmp_path / "performed" / "public" / "group").stat().st_gid == GROUP


Lower = Callable[[int], Call]


@pytest.fixture
def lower() -> Lower:
    """Lower the effective capabilities of the child by some, and keep all others that it has permitted."""
    status = tool_sandbox(["/proc"]).run(["cat", "/proc/self/status"], check=True).stdout.decode()
    permitted = int(status.partition("CapPrm:")[2].split()[0], 16)

    def call(without: int) -> Call:
        effective = permitted & ~without
        low, high = 2**32 - 1, 32
        data = (effective & low, permitted & low, 0, effective >> high, permitted >> high, 0)
        return ("capset", struct.pack("=II", 0x20080522, 0), struct.pack("=6I", *data))

    return call


def test_capabilities(acts: Path, tmp_path: Path, lower: Lower) -> None:
    calls: list[Call] = [
        lower(1 << CAP_DAC_OVERRIDE | 1 << CAP_DAC_READ_SEARCH),
        *uses("weak"),
        lower(1 << CAP_FOWNER | 1 << CAP_CHOWN),
        *uses("stranger"),
        lower(ALL),
        *uses("powerless"),
        lower(0),
        *uses("root"),
    ]
    done = twice(acts, tmp_path, make, calls)
    assert {act.error for act, call in zip(done, calls) if call[0] == "capset"} == {""}
    assert errors(done, calls, "nobodys") == ["EACCES", "", "EACCES", ""]


def test_the_host_keeps_its_own(acts: Path, tmp_path: Path) -> None:
    before = (os.getresuid(), os.getresgid(), os.getgroups(), thread_credentials(), dumpable())
    test_groups(acts, tmp_path)
    assert (os.getresuid(), os.getresgid(), os.getgroups(), thread_credentials(), dumpable()) == before


def thread_credentials() -> set[str]:
    """Return what the threads of this process have; no deputy is left."""
    names = ("Uid", "Gid", "Groups", "CapEff", "Umask")
    found = set()
    for status in Path("/proc/self/task").glob("*/status"):
        lines = status.read_text().splitlines()
        found.add("\n".join(line for line in lines if line.partition(":")[0] in names))
    return found


def dumpable() -> int:
    return int(ctypes.CDLL(None).prctl(PR_GET_DUMPABLE, 0, 0, 0, 0))


def test_own_files_in_proc(acts: Path, tmp_path: Path) -> None:
    """A process that has changed its user is nobody's to look into, and its files are root's."""
    names = ("status", "environ", "maps", "exe", "fd", "cwd")
    opens: list[Call] = [("openat", AT_FDCWD, f"/proc/self/{name}", os.O_RDONLY) for name in names]
    calls = [*opens, ("setresuid", NOBODY, NOBODY, NOBODY), *opens]
    done = twice(acts, tmp_path, make, calls, readable=["/proc"])
    assert done[len(names) + 1].error == ""


def test_page_frames_stay_hidden(acts: Path, tmp_path: Path, lower: Lower) -> None:
    """What /proc/self/pagemap shows depends on the capabilities of who opened it: page frame numbers, or zeros."""
    address = 0x10000000
    calls: list[Call] = [
        ("mmap", address, 4096, 3, 0x8032, -1, 0),  # private, anonymous, fixed and populated
        lower(ALL),
        ("openat", AT_FDCWD, "/proc/self/pagemap", os.O_RDONLY),
        ("pread64", Back(1), Buffer(8), 8, address // 4096 * 8),
    ]
    done = twice(acts, tmp_path, make, calls, readable=["/proc"], same_data=True)
    assert done[3].result == 8
