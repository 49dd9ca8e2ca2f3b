"""Every protection, with the edit that switches it off and the test that must fail then."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """A protection without which the test must fail."""

    protection: str
    file: str
    before: str
    """Stands in the file once."""
    after: str
    test: str
    """For pytest; or PACKAGE::TestName, of a Go test."""


ESCAPES = "tests/escapes/"
PRIVILEGES = ESCAPES + "test_privileges.py::"
PROCESSES = ESCAPES + "test_processes.py::"

# Groups of the default deny list and what the test calls them.
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
    "personalities": "personalities",
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


MUTANTS = [
    *map(group, GROUPS),
    Mutant(
        "the Landlock ruleset is enforced",
        "pkg/launch/plan.go",
        "if s.Ruleset >= 0 {",
        "if s.Ruleset >= 1<<30 {",
        ESCAPES + "test_paths.py::test_links_to_the_secret",
    ),
    Mutant(
        "signals stay inside",
        "pkg/landlock/level.go",
        "unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL}",
        "unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET}",
        PROCESSES + "test_signal_to_the_reaper",
    ),
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
        PRIVILEGES + "test_clone3_is_hidden_and_processes_can_be_made_nevertheless",
    ),
    Mutant(
        "clone makes no namespaces",
        "pkg/seccomp/check.go",
        "namespaceFlags, yes, no)",
        "namespaceFlags, no, no)",
        PRIVILEGES + "test_refused[clone a user namespace]",
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
        PROCESSES + "test_intrusion[prlimit64]",
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
        "only Unix sockets where the network is closed",
        "pkg/seccomp/network.go",
        "unix.AF_UNIX, loadType, yes)",
        "unix.AF_UNIX, loadType, no)",
        ESCAPES + "test_network.py::test_socket",
    ),
    Mutant(
        "capabilities are dropped",
        "pkg/sandbox/capabilities.go",
        "kept := uint32(keptCapabilities >> (32 * half))",
        "kept := uint32(1<<32 - 1)",
        PRIVILEGES + "test_capabilities_of_every_program_of_the_tree",
    ),
    Mutant(
        "no new privileges",
        "pkg/launch/plan.go",
        "number(unix.PR_SET_NO_NEW_PRIVS), number(1)",
        "number(unix.PR_GET_NO_NEW_PRIVS), number(0)",
        PRIVILEGES + "test_no_new_privs_and_a_filter_are_in_force",
    ),
    Mutant(
        "core dumps are off",
        "pkg/policy/rlimit.go",
        "Soft: 1, Hard: 1}}",
        "Soft: 1 << 40, Hard: 1 << 40}}",
        ESCAPES + "test_core_dumps.py",
    ),
    Mutant(
        "the host's descriptors stay with the host",
        "pkg/launch/plan.go",
        "unix.CLOSE_RANGE_UNSHARE|unix.CLOSE_RANGE_CLOEXEC",
        "unix.CLOSE_RANGE_UNSHARE",
        ESCAPES + "test_descriptors.py::test_inheritable",
    ),
    Mutant(
        "only the launcher's calls are exempt",
        "pkg/seccomp/filter.go",
        "\t\t\tv.check = c\n\t\t}\n\t}\n}",
        "\t\t\t*v = Verdict{Action: Allow, check: nil}\n\t\t}\n\t}\n}",
        ESCAPES + "test_listeners.py::test_a_guessed_nonce",
    ),
    Mutant(
        "the launcher's nonce is random",
        "pkg/sandbox/prepare.go",
        "rand.Read(nonce[:])",
        "rand.Read(nonce[:copy(nonce[:], []byte{1})-1])",
        ESCAPES + "test_listeners.py::test_a_guessed_nonce",
    ),
    Mutant(
        "the command dies with its reaper",
        "pkg/launch/plan.go",
        "number(unix.PR_SET_PDEATHSIG), number(unix.SIGKILL)",
        "number(unix.PR_SET_PDEATHSIG), number(0)",
        "pkg/launch::TestReaperKilled",
    ),
    Mutant(
        "the tree dies with the host",
        "pkg/launch/child.c",
        "{{.fd = (int)host, .events = POLLIN}",
        "{{.fd = -1, .events = POLLIN}",
        "pkg/launch::TestHostKilled",
    ),
    Mutant(
        "calls are performed inside of the domain",
        "pkg/deputy/deputy.go",
        "if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0, 0); errno != 0 {",
        "if errno := unix.Errno(0); errno != 0 {",
        "tests/handlers/test_perform_confined.py::test_folders_that_are_not_granted",
    ),
    Mutant(
        "an address is copied once",
        "pkg/netcall/connect.go",
        "func (o *connecting) try(c *call) (int64, error) {",
        "func (o *connecting) try(c *call) (int64, error) {\n\tc.read(o.to.raw, c.n.Args()[1])",
        "tests/network/test_connect.py::test_memory_that_changes_after_the_check",
    ),
    Mutant(
        "denied addresses win",
        "pkg/network/judge.go",
        " && !matches(j.deny, protocol, peer)",
        "",
        "tests/network/test_connect.py::test_denied_wins",
    ),
    Mutant(
        "nothing is read of a task that is gone",
        "pkg/notify/notification.go",
        "return n.listener.locked(unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id)) == 0",
        "return n.listener.locked(unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id)) >= 0",
        "pkg/notify::TestNothingAfterAnInterruption",
    ),
]
