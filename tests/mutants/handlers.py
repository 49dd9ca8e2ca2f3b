"""Decisions about calls, and calls that are performed."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

HANDLERS = [
    Mutant(
        "calls are performed inside of the domain",
        "pkg/deputy/deputy.go",
        "if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, uintptr(ruleset), 0, 0); errno != 0 {",
        "if errno := unix.Errno(0 * ruleset); errno != 0 {",
        "tests/handlers/test_perform_confined.py::test_folders_that_are_not_granted",
    ),
    Mutant(
        "nothing is read of a task that is gone",
        "pkg/notify/notification.go",
        "return n.listener.locked(unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id)) == 0",
        "return n.listener.locked(unix.SECCOMP_IOCTL_NOTIF_ID_VALID, unsafe.Pointer(&id)) >= 0",
        "pkg/notify::TestNothingAfterAnInterruption",
    ),
    Mutant(
        "a call without its descriptor fails",
        "pkg/supervise/action.go",
        "\t\t\treturn -1, errors.Join(err, n.Fail(notify.ErrnoOf(err)))\n\t\t}\n\t\treturn a.target, proceed()",
        "\t\t\treturn -1, errors.Join(err, proceed())\n\t\t}\n\t\treturn a.target, proceed()",
        "tests/handlers/test_inject_fd.py::test_target_beyond_the_limit_fails_the_call",
    ),
    Mutant(
        "a handler that fails kills",
        "python/sandlock/_fields.py",
        "on_exception: OnException = ExceptionPolicy.KILL",
        "on_exception: OnException = ExceptionPolicy.CONTINUE",
        "tests/handlers/test_exceptions.py::test_kill_by_default",
    ),
    Mutant(
        "handlers signal only what is the sandbox's",
        "pkg/supervise/kill.go",
        '\tif !ours {\n\t\treturn fmt.Errorf("kill process %d',
        '\tif false && !ours {\n\t\treturn fmt.Errorf("kill process %d',
        "tests/handlers/test_kill_process.py::test_of_another_sandbox",
    ),
    Mutant(
        "shells do not lose calls to SIGCHLD",
        "pkg/supervise/restart.go",
        "wanted&saRestart == 0 {",
        "wanted&saRestart != 0 {",
        "tests/handlers/test_pipelines.py::test_functions_for_sigchld_restart_calls",
    ),
    Mutant(
        "calls of the dead are dropped",
        "pkg/supervise/pending.go",
        "if len(t.pending) >= max(t.sweepAt, leastSweep) {",
        "if len(t.pending) >= max(t.sweepAt, 1<<40) {",
        "pkg/supervise::TestHeldCallsOfTheDeadAreBounded",
    ),
    Mutant(
        "the host's own files in /proc stand for the command's",
        "pkg/deputy/own.go",
        "\tcase ofHost(id):",
        "\tcase false && ofHost(id):",
        "tests/handlers/test_perform_confined.py::test_files_of_the_host_are_the_childs",
    ),
    Mutant(
        "what is found is judged",
        "pkg/deputy/resolve.go",
        "if err := r.judgeFile(fd); err != nil {",
        "if err := r.judgeFile(fd); err != nil && false {",
        "tests/handlers/test_perform_judge.py::test_nothing_is_done_to_what_judge_refuses",
    ),
    Mutant(
        "calls are performed with the caller's user",
        "pkg/deputy/credentials.go",
        'int(number("Uid", 3, 10)), int(number("Gid", 3, 10))',
        'int(number("Uid", 0, 10)), int(number("Gid", 0, 10))',
        "tests/handlers/test_perform_credentials.py::test_user_of_the_file_system",
    ),
    Mutant(
        "a supervisor that cannot receive ends the sandbox",
        "pkg/supervise/supervisor.go",
        "s.note(errors.Join(err, s.kill()))",
        "s.note(errors.Join(err, nil))",
        "tests/faults/test_failing_calls.py::test_it_always_fails",
    ),
    Mutant(
        "what cannot be killed alone is killed with its tree",
        "pkg/supervise/supervisor.go",
        "if errors.Is(err, errLivesOn) {",
        "if false && errors.Is(err, errLivesOn) {",
        "tests/faults/test_scarcity.py::test_a_kill_without_a_descriptor",
    ),
    Mutant(
        "folders in use are not taken for leftovers",
        "python/sandlock/_folders.py",
        "fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)",
        "fcntl.LOCK_NB",
        "tests/faults/test_leftovers.py",
    ),
]
