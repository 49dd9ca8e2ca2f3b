"""Other processes, privileges, the end of the tree, and what is handed on or bounded."""

from __future__ import annotations

from tests.mutants.mutant import ESCAPES, Mutant

PROCESSES = [
    Mutant(
        "signals stay inside",
        "pkg/landlock/level.go",
        "unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL}",
        "unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET}",
        ESCAPES + "test_processes.py::test_signal_to_the_reaper",
    ),
    Mutant(
        "capabilities are dropped",
        "pkg/sandbox/capabilities.go",
        "kept := uint32(keptCapabilities >> (32 * half))",
        "kept := uint32(1<<32 - 1)",
        ESCAPES + "test_privileges.py::test_capabilities_of_every_program_of_the_tree",
    ),
    Mutant(
        "no new privileges",
        "pkg/launch/plan.go",
        "number(unix.PR_SET_NO_NEW_PRIVS), number(1)",
        "number(unix.PR_GET_NO_NEW_PRIVS), number(0)",
        ESCAPES + "test_privileges.py::test_no_new_privs_and_a_filter_are_in_force",
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
        "a descriptor's signals stay inside",
        "pkg/landlock/level.go",
        "unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL}",
        "unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET}",
        ESCAPES + "test_processes.py::test_signal_of_a_descriptor_that_it_owns",
    ),
    Mutant(
        "abstract sockets stay inside",
        "pkg/landlock/level.go",
        "unix.LANDLOCK_SCOPE_ABSTRACT_UNIX_SOCKET | unix.LANDLOCK_SCOPE_SIGNAL}",
        "unix.LANDLOCK_SCOPE_SIGNAL}",
        "pkg/landlock::TestAbstractUnixSocket",
    ),
    Mutant(
        "the tree ends with the command",
        "pkg/launch/child.c",
        "\t\t\tkill_tree(launch);",
        "\t\t\t(void)kill_tree;",
        ESCAPES + "test_ties.py::test_who_cut_its_ties_ends[command]",
    ),
    Mutant(
        "the command has a session of its own",
        "pkg/launch/plan.go",
        'do("start a session", unix.SYS_SETSID)',
        'do("start a session", unix.SYS_GETPID)',
        "pkg/launch::TestCommandLeadsItsOwnSession",
    ),
    Mutant(
        "orphans are the reaper's",
        "pkg/launch/plan.go",
        "number(unix.PR_SET_CHILD_SUBREAPER), number(1)",
        "number(unix.PR_SET_CHILD_SUBREAPER), number(0)",
        ESCAPES + "test_ties.py::test_who_cut_its_ties_ends[command]",
    ),
    Mutant(
        "a step that fails ends the launch",
        "pkg/launch/child.c",
        "\t\tif (result < 0) {\n\t\t\tfail(launch, who, i, result);",
        "\t\tif (result < 0 && 0) {\n\t\t\tfail(launch, who, i, result);",
        ESCAPES + "test_nested.py::test_what_a_filter_of_the_host_refuses_is_an_error",
    ),
    Mutant(
        "clean_env keeps the host's environment",
        "pkg/policy/environ.go",
        " || p.CleanEnv && !slices.Contains(cleanNames, name)",
        "",
        ESCAPES + "test_processes.py::test_environment_of_the_host",
    ),
    Mutant(
        "processes are bounded",
        "pkg/limits/forks.go",
        "if !f.room(thread) {",
        "if !f.room(thread) && false {",
        "tests/limits/test_processes.py::test_refused_fork_is_eagain_and_works_again_later",
    ),
    Mutant(
        "open files are bounded",
        "pkg/policy/rlimit.go",
        "Soft: *p.MaxOpenFiles, Hard: *p.MaxOpenFiles",
        "Soft: 1 << 10, Hard: 1 << 10",
        "tests/api/test_limits.py::test_max_open_files",
    ),
    Mutant(
        "a terminal is not handed on",
        "python/sandlock/stdio.py",
        "StdioMode.NULL if os.isatty(0) else StdioMode.INHERIT",
        "StdioMode.INHERIT",
        "tests/api/test_input.py::test_a_terminal_is_not_handed_on",
    ),
]
