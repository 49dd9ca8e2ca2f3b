"""Nothing in the sandbox gains a privilege, and what only privileges allow is refused even to root."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from sandlock import Sandbox
from tests.support.call import Argument, Attempt
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

CLONE_PARENT = 0x8000
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x10000000, 0x20000000, 0x40000000

# chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap, net_bind_service, setfcap: see capabilities(7)
KEPT_CAPABILITIES = (0, 1, 3, 4, 5, 6, 7, 8, 10, 31)

REFUSED: dict[str, tuple[Argument, ...]] = {
    "mount": ("mount", "none", "/tmp", "tmpfs", 0, 0),
    "bind mount": ("mount", "/etc", "/tmp", "none", 4096, 0),
    "umount": ("umount2", "/tmp", 0),
    "chroot": ("chroot", "/"),
    "pivot_root": ("pivot_root", "/tmp", "/tmp"),
    "unshare mounts": ("unshare", CLONE_NEWNS),
    "unshare users": ("unshare", CLONE_NEWUSER),
    "unshare everything": ("unshare", CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET),
    "setns": ("setns", 0, 0),
    "clone a user namespace": ("clone", CLONE_NEWUSER | 17),
    "clone a network namespace": ("clone", CLONE_NEWNET | 17),
    "clone a brother": ("clone", CLONE_PARENT | 17),
    "bpf": ("bpf", 0, 0, 0),
    "perf_event_open": ("perf_event_open", 0, 0, -1, -1, 0),
    "userfaultfd": ("userfaultfd", 1),
    "io_uring_setup": ("io_uring_setup", 1, bytes(120)),
    "personality": ("personality", 0x0040000),
    "shmget": ("shmget", 0, 4096, 0o1600),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(attempt: Attempt, name: str) -> None:
    assert attempt(*REFUSED[name]).error == "EPERM"


def test_clone3_is_hidden_and_processes_can_be_made_nevertheless(attempt: Attempt, box: Sandbox) -> None:
    assert attempt("clone3", bytes(88), 88).error == "ENOSYS"
    assert box.run(["sh", "-c", "(exit 3); echo $?; echo | cat"]).stdout == b"3\n\n"


@pytest.mark.parametrize("call", ["mount", "unshare"])
def test_tools_are_told(box: Sandbox, call: str) -> None:
    command = {"mount": ["mount", "-t", "tmpfs", "none", "/mnt"], "unshare": ["unshare", "-Ur", "id"]}[call]
    if shutil.which(call) is None:
        pytest.skip(f"{call} is not on PATH")
    assert not box.run(command).success


@pytest.fixture
def status(program: Program) -> Path:
    return program("status")


def test_no_new_privs_and_a_filter_are_in_force(status: Path) -> None:
    words = tool_sandbox([status]).run([status], check=True).stdout.split()
    assert words[4:6] == [b"1", b"2"]  # SECCOMP_MODE_FILTER


def test_they_cannot_be_taken_back(attempt: Attempt) -> None:
    pr_set_no_new_privs = 38
    assert attempt("prctl", pr_set_no_new_privs, 0, 0, 0, 0).error == "EINVAL"


def test_the_user_stays_the_same(status: Path) -> None:
    words = tool_sandbox([status]).run([status], check=True).stdout.split()
    assert list(map(int, words[:4])) == [os.getuid(), os.geteuid(), os.getgid(), os.getegid()]


def test_setuid_program_of_another_user(status: Path, tmp_path: Path) -> None:
    """Root can make one itself."""
    if os.geteuid() != 0:
        pytest.skip(f"uid {os.geteuid()} cannot make a setuid program of another user")
    program = tmp_path / "setuid"
    shutil.copy(status, program)
    os.chown(program, 65534, 65534)
    program.chmod(0o6755)
    plain = subprocess.run([program], capture_output=True, check=True, timeout=60).stdout.split()
    if plain[1] != b"65534":
        pytest.skip(f"{tmp_path} is mounted nosuid")
    words = tool_sandbox([program]).run([program], check=True).stdout.split()
    assert words[:4] == [b"0", b"0", b"0", b"0"]
    assert words[6] == b"0"


def test_setuid_program_of_root(box: Sandbox) -> None:
    """The loader of a program that gained something ignores LD_SHOW_AUXV; that of any other prints what it is."""
    if os.geteuid() == 0:
        pytest.skip("root gains nothing from a program of root")
    program = next((path for path in map(shutil.which, ("su", "passwd", "mount")) if path), None)
    if program is None or not os.stat(program).st_mode & 0o4000 or os.stat(program).st_uid != 0:
        pytest.skip("no setuid program of root is on PATH")
    box.env = {"LD_SHOW_AUXV": "1"}
    environment = {**os.environ, "LD_SHOW_AUXV": "1"}
    plain = subprocess.run([program, "--help"], env=environment, capture_output=True, check=False, timeout=60)
    if b"AT_EUID" in plain.stdout:
        pytest.skip(f"{program} gains nothing outside of a sandbox either")
    told = dict(
        line.split(b":") for line in box.run([program, "--help"]).stdout.splitlines() if line.startswith(b"AT_")
    )
    assert told[b"AT_EUID"].strip() == b"%d" % os.geteuid()
    assert told[b"AT_SECURE"].strip() == b"0"


def test_file_capabilities(tmp_path: Path) -> None:
    """A program with capabilities of its own has what its caller has, and no more."""
    program = Path(shutil.copy("/bin/grep", tmp_path))
    sys_admin = 1 << 21
    try:
        # struct vfs_cap_data of linux/capability.h: revision 2, effective.
        os.setxattr(program, "security.capability", struct.pack("<5I", 0x02000001, sys_admin, 0, 0, 0))
    except OSError as e:
        pytest.skip(f"uid {os.geteuid()} cannot give a program capabilities: {e}")
    command = [str(program), "^CapEff", "/proc/self/status"]
    sets = [
        subprocess.run(command, capture_output=True, check=True, timeout=60).stdout,
        tool_sandbox([program, "/proc"]).run(command, timeout=60, check=True).stdout,
    ]
    bare, inside = (int(line.split()[1], 16) for line in sets)
    kept = sum(1 << capability for capability in KEPT_CAPABILITIES)
    assert bare & sys_admin
    assert inside & ~kept == 0


def test_becoming_another_user(attempt: Attempt) -> None:
    """Root keeps its capabilities, but a change of the user gives nobody anything back."""
    told = attempt("setresuid", 65534, 65534, 65534)
    assert told.error == ("" if os.geteuid() in (0, 65534) else "EPERM")


def test_capabilities_of_every_program_of_the_tree() -> None:
    """Root's too: what it has, or gains at execve, is about files and users."""
    kept = sum(1 << capability for capability in KEPT_CAPABILITIES)
    sets = tool_sandbox(["/proc"]).run(["sh", "-c", "(grep ^Cap /proc/self/status); :"], check=True).stdout
    told = {name: int(value, 16) for name, value in (line.split(b":") for line in sets.splitlines())}
    assert told[b"CapPrm"] & ~kept == told[b"CapEff"] & ~kept == told[b"CapInh"] == told[b"CapAmb"] == 0
