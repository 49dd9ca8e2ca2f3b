"""What Landlock protects, and how the policy's paths become its rules."""

from __future__ import annotations

from tests.mutants.mutant import ESCAPES, Mutant

FILES = [
    Mutant(
        "the Landlock ruleset is enforced",
        "pkg/launch/plan.go",
        "if s.Ruleset >= 0 {",
        "if s.Ruleset >= 1<<30 {",
        ESCAPES + "test_paths.py::test_links_to_the_secret",
    ),
    Mutant(
        "no path leads through a link that the command may have made",
        "pkg/landlock/follow.go",
        "if err == nil && planted != nil && !withinAny(",
        "if false && err == nil && planted != nil && !withinAny(",
        ESCAPES + "test_files.py::test_a_link_for_the_next_run[fs_readable]",
    ),
    Mutant(
        "reading takes a grant",
        "pkg/landlock/level.go",
        "unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR |",
        "unix.LANDLOCK_ACCESS_FS_READ_DIR |",
        ESCAPES + "test_paths.py::test_links_to_the_secret",
    ),
    Mutant(
        "writing takes a grant",
        "pkg/landlock/level.go",
        "fs: unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE |",
        "fs: unix.LANDLOCK_ACCESS_FS_EXECUTE |",
        ESCAPES + "test_files.py::test_nothing_of_proc_is_written_where_it_may_be_read",
    ),
    Mutant(
        "listing takes a grant",
        "pkg/landlock/level.go",
        "unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR |",
        "unix.LANDLOCK_ACCESS_FS_READ_FILE |",
        ESCAPES + "test_paths.py::test_a_folder_of_the_hosts_from_a_handler",
    ),
    Mutant(
        "truncating takes a grant",
        "pkg/landlock/level.go",
        '{abi: 3, linux: "6.2", fs: unix.LANDLOCK_ACCESS_FS_TRUNCATE},',
        '{abi: 3, linux: "6.2"},',
        ESCAPES + "test_files.py::test_what_may_only_be_read_keeps_its_content",
    ),
    Mutant(
        "commands to devices take a grant",
        "pkg/landlock/level.go",
        '{abi: 5, linux: "6.10", fs: unix.LANDLOCK_ACCESS_FS_IOCTL_DEV},',
        '{abi: 5, linux: "6.10"},',
        ESCAPES + "test_files.py::test_devices_take_no_commands_where_they_may_be_read",
    ),
    Mutant(
        "what is denied is carved out",
        "pkg/landlock/denied.go",
        "return len(l.paths) > 0 })",
        "return false })",
        "tests/api/test_denied.py::test_file",
    ),
]
