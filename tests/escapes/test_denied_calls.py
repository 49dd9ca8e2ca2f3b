"""Every call of the default deny list is refused, by its group."""

from __future__ import annotations

import errno
import subprocess
from pathlib import Path

import pytest

from sandlock._syscalls import number_of
from tests.support.acts import Back, act, known
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
    "System V IPC": "msgctl msgget msgrcv msgsnd semctl semget semop semtimedop shmat shmctl shmdt shmget",
}


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
    assert dict(zip(names, refused)) == dict.fromkeys(names, "EPERM")
    bare = told(subprocess.run(words[:-1], capture_output=True, check=True, timeout=60).stdout)
    if set(bare) == {"EPERM"}:
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
