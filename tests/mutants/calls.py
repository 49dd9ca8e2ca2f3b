"""The filter's own protections: which system calls it answers, and how."""

from __future__ import annotations

from tests.mutants.mutant import ESCAPES, Mutant

# Groups of the default deny list and what the test calls them. Modules and kexec the kernel refuses by itself.
GROUPS = {
    "mounts": "mounts",
    "namespaces": "namespaces",
    "other_processes": "other processes",
    "io_uring": "io_uring",
    "file_handles": "file handles",
    "observation": "observation",
    "file_watches": "file watches",
    "keyrings": "keyrings",
    "clocks": "clocks",
    "port_io": "port I/O",
    "administration": "administration",
    "personalities": "personalities",
    "queue_removal": "POSIX message queues",
    "aio": "asynchronous I/O",
    "sysv_ipc": "System V IPC",
}


def group(name: str) -> Mutant:
    return Mutant(
        f"{GROUPS[name]} are denied",
        "pkg/seccomp/filter.go",
        "if taken[g.name] {",
        f'if taken[g.name] || g.name == "{name}" {{',
        f"{ESCAPES}test_denied_calls.py::test_refused[{GROUPS[name]}]",
    )


CALLS = [
    *map(group, GROUPS),
    Mutant(
        "x32 calls kill",
        "pkg/seccomp/filter.go",
        "x32 := Verdict{Action: KillProcess,",
        "x32 := Verdict{Action: Allow,",
        ESCAPES + "test_entries.py::test_killed[x32-default]",
    ),
    Mutant(
        "calls of another architecture kill",
        "pkg/seccomp/tree.go",
        "foreign := a.ret(KillProcess)",
        "foreign := number",
        ESCAPES + "test_entries.py::test_killed[int80-default]",
    ),
    Mutant(
        "unknown calls do not exist",
        "pkg/seccomp/filter.go",
        "unknown := Verdict{Action: Errno(unix.ENOSYS),",
        "unknown := Verdict{Action: Errno(unix.EPERM),",
        ESCAPES + "test_entries.py::test_unknown_numbers_do_not_exist",
    ),
    Mutant(
        "clone3 is hidden",
        "pkg/seccomp/filter.go",
        'Verdict{Action: Errno(unix.ENOSYS), Reason: "its flags',
        'Verdict{Action: Allow, Reason: "its flags',
        ESCAPES + "test_privileges.py::test_clone3_is_hidden_and_processes_can_be_made_nevertheless",
    ),
    Mutant(
        "clone makes no namespaces",
        "pkg/seccomp/check.go",
        "namespaceFlags, yes, brother)",
        "namespaceFlags, no, brother)",
        ESCAPES + "test_privileges.py::test_refused[clone a user namespace]",
    ),
    Mutant(
        "clone makes no brothers",
        "pkg/seccomp/check.go",
        "unix.CLONE_THREAD, no, yes)",
        "unix.CLONE_THREAD, no, no)",
        ESCAPES + "test_privileges.py::test_refused[clone a brother]",
    ),
    Mutant(
        "no leases are taken",
        "pkg/seccomp/check.go",
        "a.branch(bpf.JumpEqual, command, yes, next)",
        "a.branch(bpf.JumpEqual, command, no, next)",
        ESCAPES + "test_denied_calls.py::test_nobody_waits_for_a_lease",
    ),
    Mutant(
        "nothing is typed into terminals",
        "pkg/seccomp/check.go",
        "unix.TIOCSTI, yes, linux)",
        "unix.TIOCSTI, linux, linux)",
        ESCAPES + "test_denied_calls.py::test_commands_of_ioctl[TIOCSTI]",
    ),
    Mutant(
        "nothing is selected in terminals",
        "pkg/seccomp/check.go",
        "unix.TIOCLINUX, yes, btrfs)",
        "unix.TIOCLINUX, btrfs, btrfs)",
        ESCAPES + "test_denied_calls.py::test_commands_of_ioctl[TIOCLINUX]",
    ),
    Mutant(
        "no subvolumes are made",
        "pkg/seccomp/check.go",
        "btrfsCommands, yes, no)",
        "btrfsCommands, no, no)",
        ESCAPES + "test_denied_calls.py::test_commands_of_ioctl[a snapshot]",
    ),
    Mutant(
        "limits of others are not set",
        "pkg/seccomp/check.go",
        '"prlimit64": {',
        '"prlimit64 is left out": {',
        ESCAPES + "test_processes.py::test_intrusion[prlimit64]",
    ),
    Mutant(
        "others are not scheduled",
        "pkg/seccomp/check.go",
        "return a.load(argLow(0), a.branch(bpf.JumpEqual, 0, no, yes))",
        "return a.load(argLow(0), a.branch(bpf.JumpEqual, 0, no, no))",
        ESCAPES + "test_scheduling.py::test_others[sched_setaffinity]",
    ),
    Mutant(
        "others keep their priority",
        "pkg/seccomp/check.go",
        "target := a.load(argLow(1), a.branch(bpf.JumpEqual, 0, no, yes))",
        "target := a.load(argLow(1), a.branch(bpf.JumpEqual, 0, no, no))",
        ESCAPES + "test_scheduling.py::test_others[setpriority]",
    ),
    Mutant(
        "only the launcher's calls are exempt",
        "pkg/seccomp/filter.go",
        "\t\t\tv.check = c\n\t\t}\n\t}\n}",
        "\t\t\t*v = Verdict{Action: Allow, check: nil}\n\t\t}\n\t}\n}",
        ESCAPES + "test_listeners.py::test_a_guessed_nonce",
    ),
]
