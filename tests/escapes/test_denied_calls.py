"""Every call of the default deny list is refused, by its group."""

from __future__ import annotations

import errno
import subprocess

import pytest

from sandlock._syscalls import number_of
from tests.support.acts import known
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


def test_terminal_input_and_selection(program: Program) -> None:
    """Standard input is no terminal, which the kernel would say."""
    acts = program("acts")
    tiocsti, tioclinux, tcgets = 0x5412, 0x541C, 0x5401
    words = [str(acts)]
    for command in (tiocsti, tioclinux, tiocsti + (1 << 32), tcgets):
        words += [str(number_of("ioctl")), "0", str(command), "x:41", ","]
    result = tool_sandbox([acts]).run(words[:-1], timeout=60, check=True)
    assert told(result.stdout) == ["EPERM", "EPERM", "EPERM", "ENOTTY"]
