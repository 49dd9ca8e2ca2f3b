"""The flags that say what a command may do, and the sandbox that they make."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from typing import Any

from .._chain import check_timeout
from ..exceptions import PolicyError
from ..profiles import list_profiles, read_profile
from ..sandbox import Sandbox
from .parsers import complete_with

__all__ = ["add_command", "add_flags", "command_of", "is_empty", "sandbox_of", "timeout_of"]


@dataclass(frozen=True)
class _Flag:
    """A flag for a field of Sandbox."""

    names: tuple[str, ...]
    field: str
    help: str
    metavar: str | None = None
    """None for a flag without a value."""
    repeated: bool = False
    is_number: bool = False


_FLAGS = (
    _Flag(("-r", "--fs-read"), "fs_readable", "may be read and executed, with all beneath", "PATH", repeated=True),
    _Flag(("-w", "--fs-write"), "fs_writable", "may be changed as well", "PATH", repeated=True),
    _Flag(("--fs-deny",), "fs_denied", "stays out of reach; wins over the others", "PATH", repeated=True),
    _Flag(("--extra-deny-syscall",), "extra_deny_syscalls", "a system call or group to deny", "NAME", repeated=True),
    _Flag(("--extra-allow-syscall",), "extra_allow_syscalls", "a group to allow again", "GROUP", repeated=True),
    _Flag(
        ("--net-allow",),
        "net_allow",
        "a peer that may be reached, such as example.com:443 or unix:///run/x",
        "RULE",
        repeated=True,
    ),
    _Flag(("--net-deny",), "net_deny", "a peer that may not be reached; wins", "RULE", repeated=True),
    _Flag(("--net-allow-bind",), "net_allow_bind", "ports that may be bound", "PORTS", repeated=True),
    _Flag(("--net-deny-bind",), "net_deny_bind", "ports that may not be bound", "PORTS", repeated=True),
    _Flag(("-m", "--max-memory"), "max_memory", "of the whole tree, such as 512M", "SIZE"),
    _Flag(("--max-disk",), "max_disk", "that the whole tree may add, such as 1G", "SIZE"),
    _Flag(("-P", "--max-processes"), "max_processes", "of the whole tree", "N", is_number=True),
    _Flag(("--max-open-files",), "max_open_files", "of each process", "N", is_number=True),
    _Flag(("-c", "--cpu"), "max_cpu", "per cent of one core, for the whole tree", "PERCENT", is_number=True),
    _Flag(("--random-seed",), "random_seed", "of all random numbers", "N", is_number=True),
    _Flag(("--time-start",), "time_start", "what time it is at the start, as RFC 3339 has it", "TIME"),
    _Flag(("--deterministic-dirs",), "deterministic_dirs", "folders in the order of their names"),
    _Flag(("--no-randomize-memory",), "no_randomize_memory", "memory at the same addresses in each run"),
    _Flag(("--no-huge-pages",), "no_huge_pages", "no transparent huge pages"),
    _Flag(("--no-coredump",), "no_coredump", "accepted; no command dumps core"),
    _Flag(("--clean-env",), "clean_env", "only PATH, HOME, USER, TERM and LANG of the environment"),
    _Flag(("--cwd",), "cwd", "the working directory", "PATH"),
    _Flag(("--name",), "name", "of the sandbox", "NAME"),
)


def add_flags(parser: argparse.ArgumentParser) -> None:
    """Add the flags of a policy."""
    group = parser.add_argument_group("policy", "What is not granted is not allowed. Flags add to the profile's lists.")
    profile = group.add_mutually_exclusive_group()
    named = profile.add_argument("--profile", metavar="NAME", help="begin with a profile; see sandlock profile list")
    complete_with(named, list_profiles)
    profile.add_argument("--profile-file", metavar="PATH", help="begin with the profile in a file")
    for flag in _FLAGS:
        options: dict[str, Any] = {"dest": flag.field, "help": flag.help}
        if flag.metavar is None:
            options.update(action="store_true", default=None)
        else:
            options.update(metavar=flag.metavar, action="append" if flag.repeated else "store")
            if flag.is_number:
                options["type"] = int
        action = group.add_argument(*flag.names, **options)
        if flag.metavar != "PATH":
            complete_with(action, tuple)  # with nothing
    variable = group.add_argument("--env", metavar="NAME=VALUE", action="append", help="a variable of the environment")
    user = group.add_argument("--uid", metavar="UID[:GID]", help="the user, and group, that the command sees itself as")
    for action in (variable, user):
        complete_with(action, tuple)


def add_command(parser: argparse.ArgumentParser) -> None:
    """Add the command itself, which comes last."""
    timeout = parser.add_argument(
        "--timeout", metavar="SECONDS", type=float, help="after which the whole tree is killed"
    )
    complete_with(timeout, tuple)
    parser.add_argument("command", metavar="CMD", nargs=argparse.REMAINDER, help="the command, after --")
    parser.usage = "%(prog)s [options] -- CMD..."
    parser.set_defaults(failed=125, wrong_usage=parser.error)


def command_of(options: argparse.Namespace) -> list[str]:
    """Return the command: that of the profile where none is given. Without one the usage is wrong."""
    command = list(options.command)
    if command[:1] == ["--"]:
        del command[0]
    profile = _profile(options)
    if not command and profile is not None:
        command = list(read_profile(profile).command)
    if not command:
        options.wrong_usage("no command; write it last, after --")
    return command


def sandbox_of(options: argparse.Namespace) -> Sandbox:
    """Return the sandbox that the flags, and the profile, describe.

    Raises:
        PolicyError: one of them is wrong.
    """
    profile = _profile(options)
    fields: dict[str, Any] = {} if profile is None else dict(read_profile(profile).fields)
    for flag in _FLAGS:
        value = getattr(options, flag.field)
        if value is not None:
            fields[flag.field] = [*fields.get(flag.field, ()), *value] if flag.repeated else value
    if options.env:
        fields["env"] = {**fields.get("env", {}), **dict(_variable(text) for text in options.env)}
    if options.uid is not None:
        fields["uid"], fields["gid"] = _identity(options.uid)
    try:
        return Sandbox(**fields)
    except (TypeError, ValueError) as error:
        raise PolicyError(str(error)) from None


def timeout_of(options: argparse.Namespace) -> float | None:
    """Return after how many seconds the command is killed.

    Raises:
        PolicyError: that is no time.
    """
    try:
        return check_timeout("--timeout", options.timeout)
    except ValueError as error:
        raise PolicyError(str(error)) from None


def is_empty(options: argparse.Namespace) -> bool:
    """Say whether nothing was said about a policy."""
    names = [flag.field for flag in _FLAGS if flag.field != "name"]
    return _profile(options) is None and all(getattr(options, name) is None for name in (*names, "env", "uid"))


def _profile(options: argparse.Namespace) -> str | None:
    if options.profile_file is not None:
        path: str = options.profile_file
        return path if "/" in path else f"./{path}"  # a name without a slash is looked up
    name: str | None = options.profile
    return name


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise PolicyError(f"--env: {text!r} has no value; write NAME=VALUE")
    return name, value


def _identity(text: str) -> tuple[int, int]:
    user, _, group = text.partition(":")
    try:
        return int(user), int(group or user)
    except ValueError:
        raise PolicyError(f"--uid: {text!r} is no UID or UID:GID; write numbers") from None
