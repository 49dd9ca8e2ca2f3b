"""Every call of the default deny list is refused, by its group."""

from __future__ import annotations

import errno
import fcntl
import os
import subprocess
from pathlib import Path

import pytest

from sandlock._syscalls import number_of
from tests.support.acts import AT_FDCWD, Back, act, bare, known
from tests.support.call import Attempt
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox

# vhangup is not among them: without a sandbox it takes root's terminal away, whatever its arguments.
GROUPS = {
    "mounts": "chroot fsconfig fsmount fsopen fspick mount mount_setattr move_mount open_tree pivot_root umount2",
    "namespaces": "setns unshare",
    "other processes": "pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "io_uring": "io_uring_enter io_uring_register io_uring_setup",
    "file handles": "name_to_handle_at open_by_handle_at",
    "observation": "bpf fanotify_init lookup_dcookie perf_event_open userfaultfd",
    "file watches": "inotify_add_watch inotify_init inotify_init1",
    "keyrings": "add_key keyctl request_key",
    "modules": "delete_module finit_module init_module",
    "kexec": "kexec_file_load kexec_load",
    "clocks": "adjtimex clock_adjtime clock_settime settimeofday",
    "port I/O": "ioperm iopl",
    "administration": "acct quotactl quotactl_fd reboot setdomainname sethostname swapoff swapon syslog",
    "personalities": "personality",
    "POSIX message queues": "mq_unlink",
    "asynchronous I/O": "io_cancel io_destroy io_getevents io_pgetevents io_setup io_submit",
    "System V IPC": "msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget",
}

ERRORS = {"asynchronous I/O": "ENOSYS"}
"""What a group answers, if it is not EPERM."""


@pytest.mark.parametrize("group", GROUPS)
def test_refused(program: Program, group: str) -> None:
    """With arguments that mean nothing, which without a sandbox is what the errors are about."""
    acts = program("acts")
    names = [name for name in GROUPS[group].split() if known(name)]
    if not names:
        pytest.skip("this architecture has none of them")
    words = [str(acts)]
    for name in names:
        words += [str(number_of(name)), *["-1"] * 6, ","]
    refused = told(tool_sandbox([acts]).run(words[:-1], timeout=60, check=True).stdout)
    error = ERRORS.get(group, "EPERM")
    assert dict(zip(names, refused)) == dict.fromkeys(names, error)
    bare = told(subprocess.run(words[:-1], capture_output=True, check=True, timeout=60).stdout)
    if set(bare) == {error}:
        pytest.skip("the kernel refuses this user all of them without a sandbox as well")


def told(stdout: bytes) -> list[str]:
    return [errno.errorcode.get(int(line.split()[1]), "") for line in stdout.splitlines()]


TIOCSTI, TIOCLINUX, TCGETS = 0x5412, 0x541C, 0x5401
BTRFS_CLONE, BTRFS_SNAPSHOT, BTRFS_SUBVOLUME = 0x40049409, 0x50009401, 0x5000940E


def test_file_watches_may_be_allowed(program: Program, secret: Path) -> None:
    """They then tell of every folder that the user may read."""
    acts = program("acts")
    box = tool_sandbox([acts], extra_allow_syscalls=["file_watches"])
    watch = ("inotify_add_watch", Back(1), str(secret.parent), 0x100)
    assert [done.error for done in act(box, acts, [("inotify_init1", 0), watch])] == ["", ""]


def test_folders_that_may_be_read_are_not_watched_either(program: Program, tmp_path: Path) -> None:
    """dnotify: it needs a descriptor of the folder."""
    acts = program("acts")
    watch = [("openat", AT_FDCWD, str(tmp_path), os.O_DIRECTORY), ("fcntl", Back(1), fcntl.F_NOTIFY, fcntl.DN_CREATE)]
    assert act(tool_sandbox([acts, tmp_path]), acts, watch)[1].error == "EINVAL"
    allowed = act(tool_sandbox([acts, tmp_path], extra_allow_syscalls=["file_watches"]), acts, watch)[1].error
    assert allowed == bare(acts, watch)[1].error


def test_asynchronous_io_may_be_allowed(program: Program) -> None:
    acts = program("acts")
    calls = [("io_setup", 1, bytes(8))]
    box = tool_sandbox([acts], extra_allow_syscalls=["aio"])
    assert [done.error for done in act(box, acts, calls)] == [done.error for done in bare(acts, calls)]


F_SETDELEG = 1024 + 16


@pytest.mark.parametrize("watches", [[], ["file_watches"]])
def test_nobody_waits_for_a_lease(program: Program, secret: Path, watches: list[str]) -> None:
    """A lease stays with the open file, and whoever opens the file meanwhile waits."""
    acts = program("acts")
    calls = [
        ("openat", AT_FDCWD, str(secret), os.O_RDONLY),
        ("fcntl", Back(1), fcntl.F_SETLEASE + (1 << 32), fcntl.F_RDLCK),
        ("fcntl", Back(2), F_SETDELEG, bytes(8)),
        ("fcntl", Back(3), fcntl.F_SETLEASE, fcntl.F_RDLCK),
        ("fcntl", Back(4), fcntl.F_GETLEASE, 0),
    ]
    done = act(tool_sandbox([acts, secret], extra_allow_syscalls=watches), acts, calls)
    assert [call.error for call in done] == ["", "EINVAL", "EINVAL", "EINVAL", ""]
    assert done[-1].result == fcntl.F_UNLCK
    if bare(acts, calls)[3].error == "EINVAL":
        pytest.skip("there are no leases in this file system")


COMMANDS = {
    "TIOCSTI": (TIOCSTI, "EPERM"),
    "TIOCSTI, high half set": (TIOCSTI + (1 << 32), "EPERM"),
    "TIOCLINUX": (TIOCLINUX, "EPERM"),
    "TCGETS": (TCGETS, "ENOTTY"),
    "a snapshot": (BTRFS_SNAPSHOT, "EPERM"),
    "a subvolume": (BTRFS_SUBVOLUME, "EPERM"),
    "a subvolume, high half set": (BTRFS_SUBVOLUME + (1 << 32), "EPERM"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands_of_ioctl(attempt: Attempt, name: str) -> None:
    """Standard input is no terminal and no folder of btrfs, which is what the kernel would say."""
    command, error = COMMANDS[name]
    assert attempt("ioctl", 0, command, bytes(4096)).error == error


def test_cloning_is_every_file_systems(attempt: Attempt) -> None:
    assert attempt("ioctl", -1, BTRFS_CLONE, 0).error == "EBADF"
