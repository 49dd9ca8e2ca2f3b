"""Wrong input is an error that names the field, the value and the way out, and nothing is started."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sandlock import ExceptionPolicy, Handler, NotifAction, PolicyError, Protection, Sandbox
from tests.support.handlers import Answer
from tests.support.processes import children, open_fds
from tests.support.sandboxes import tool_sandbox

ALLOW = Answer()


class Wrong(NamedTuple):
    value: Any
    error: type[Exception]
    words: tuple[str, ...]
    """Regular expressions that the message must match: the field, the value, the way out."""


@pytest.fixture
def marker(tmp_path: Path) -> Iterator[Path]:
    """A file that a command would make. Checks that nothing was started, or kept open."""
    before = open_fds(), children()
    yield tmp_path / "started"
    assert not (tmp_path / "started").exists()
    assert open_fds() <= before[0]
    assert children() <= before[1]


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    """Have the Go runtime opened what it opens."""
    tool_sandbox().run(["true"], handlers=[("getppid", ALLOW)], check=True)


def attempt(wrong: Wrong, marker: Path, cmd: Any = None, fields: Any = None, **options: Any) -> None:
    cmd = ["touch", marker] if cmd is None else cmd
    box = tool_sandbox(writable=[marker.parent])
    for name, value in (fields or {}).items():
        setattr(box, name, value)
    with pytest.raises(wrong.error) as caught:
        box.run(cmd, **options)
    message = str(caught.value)
    for words in wrong.words:
        assert re.search(words, message), f"{words!r} is not in {message!r}"
    assert "\0" not in message
    assert message.isprintable()


PATH_VALUES = {
    "missing": Wrong(["/usr", "/nonexistent/x"], PolicyError, ("/nonexistent/x", "does not exist", "create it")),
    "empty": Wrong([""], PolicyError, ('""', "empty", r'write "\."')),
    "NUL": Wrong(["/us\0r"], PolicyError, (r"/us\\x00r", "NUL", "take it out")),
    "beneath a file": Wrong(["/etc/passwd/x"], PolicyError, ("/etc/passwd/x", "not a folder", "correct the path")),
    "long": Wrong(["/" + "x" * 256], PolicyError, ("/xxx", "too long", "at most 255")),
    "a str": Wrong("/usr", PolicyError, ("'/usr'", "no list", r"write \['/usr'\]")),
    "bytes": Wrong(b"/usr", PolicyError, ("b'/usr'", "no list", r"write \[b'/usr'\]")),
    "a path": Wrong(Path("/usr"), PolicyError, ("/usr", "no list", "write")),
    "None": Wrong(None, PolicyError, ("None", "no list")),
    "a number": Wrong(["/usr", 3], PolicyError, (r"\[1\]", "3", "no str, bytes or path")),
    "surrogate": Wrong(["/\ud800"], PolicyError, (r"\\ud800", "cannot be encoded")),
}


@pytest.mark.parametrize("field", ["fs_readable", "fs_writable", "fs_denied"])
@pytest.mark.parametrize("name", PATH_VALUES)
def test_paths(field: str, name: str, marker: Path) -> None:
    wrong = PATH_VALUES[name]
    attempt(wrong._replace(words=(field, *wrong.words)), marker, fields={field: wrong.value})


def test_link_to_nowhere(marker: Path) -> None:
    link = marker.parent / "link"
    link.symlink_to("nowhere")
    wrong = Wrong([link], PolicyError, ("fs_readable", "link", "target does not exist", "create the target"))
    attempt(wrong, marker, fields={"fs_readable": wrong.value})


FIELDS = {
    ("cwd", "missing"): Wrong("/nonexistent", PolicyError, ("/nonexistent", "does not exist", "create it")),
    ("cwd", "a file"): Wrong("/etc/passwd", PolicyError, ("/etc/passwd", "no directory")),
    ("cwd", "empty"): Wrong("", PolicyError, ("empty", "use None")),
    ("cwd", "NUL"): Wrong("/\0", PolicyError, (r"/\\x00", "NUL", "take it out")),
    ("cwd", "a number"): Wrong(3, PolicyError, ("3", "no str, bytes or path")),
    ("env", "="): Wrong({"A=B": "x"}, PolicyError, ('"A=B"', "name", "=")),
    ("env", "empty"): Wrong({"": "x"}, PolicyError, ('""', "empty", "give the variable a name")),
    ("env", "NUL in a name"): Wrong({"A\0": "x"}, PolicyError, (r"A\\x00", "NUL", "take it out")),
    ("env", "NUL in a value"): Wrong({"A": "x\0"}, PolicyError, ('"A"', "NUL", "take it out")),
    ("env", "a number"): Wrong({"A": 1}, PolicyError, (r"\['A'\]", "1", "no str")),
    ("env", "a list"): Wrong(["A=B"], PolicyError, ("'A=B'", "no mapping")),
    ("extra_deny_syscalls", "unknown"): Wrong(["opennat"], PolicyError, ('"opennat"', 'did you mean "openat"')),
    ("extra_deny_syscalls", "empty"): Wrong([""], PolicyError, ('""', "empty", "take it out")),
    ("extra_deny_syscalls", "NUL"): Wrong(["openat\0"], PolicyError, (r"openat\\x00", "NUL", "take it out")),
    ("extra_deny_syscalls", "a str"): Wrong("openat", PolicyError, ("'openat'", r"write \['openat'\]")),
    ("extra_allow_syscalls", "unknown"): Wrong(["sysvipc"], PolicyError, ('"sysvipc"', "sysv_ipc")),
    ("extra_allow_syscalls", "a call"): Wrong(["ptrace"], PolicyError, ('"ptrace"', "not a group", "sysv_ipc")),
    ("extra_allow_syscalls", "fixed"): Wrong(["io_uring"], PolicyError, ('"io_uring"', "stays denied", "sysv_ipc")),
    ("max_open_files", "negative"): Wrong(-1, PolicyError, ("-1", "negative", "leave the field out")),
    ("max_open_files", "too few"): Wrong(2, PolicyError, ("2", "no room", "10 or more")),
    ("max_open_files", "too many"): Wrong(1 << 31, PolicyError, ("2147483648", "more than", "leave the field out")),
    ("max_open_files", "text"): Wrong("64", PolicyError, ('"64"', "whole number")),
    ("max_open_files", "bool"): Wrong(True, PolicyError, ("true", "whole number")),
    ("max_open_files", "float"): Wrong(64.5, PolicyError, ("64.5", "whole number")),
    ("uid", "alone"): Wrong(1000, PolicyError, ("1000", "without gid", "together")),
    ("uid", "negative"): Wrong(-1, PolicyError, ("-1", "negative", "leave the field out")),
    ("uid", "too large"): Wrong(1 << 32, PolicyError, ("4294967296", "too large", "from 0 to 4294967294")),
    ("uid", "a name"): Wrong("nobody", PolicyError, ('"nobody"', "whole number")),
    ("gid", "alone"): Wrong(1000, PolicyError, ("1000", "without uid", "together")),
    ("gid", "bool"): Wrong(True, PolicyError, ("true", "whole number")),
    ("umask", "too large"): Wrong(0o1000, PolicyError, ("512", "0o777", "0o022")),
    ("umask", "negative"): Wrong(-1, PolicyError, ("-1", "negative")),
    ("umask", "text"): Wrong("022", PolicyError, ('"022"', "whole number")),
    ("clean_env", "text"): Wrong("no", PolicyError, ("'no'|\"no\"",)),
    ("disable", "unknown"): Wrong([99], PolicyError, (r"\[0\]", "99", "NET_TCP")),
    ("disable", "no list"): Wrong(Protection.NET_TCP, PolicyError, ("2|NET_TCP", "no list")),
    ("disable", "impossible"): Wrong([Protection.FS_REFER], PolicyError, ("FS_REFER", "allow_degraded")),
    ("allow_degraded", "a name"): Wrong("NET_TCP", PolicyError, ("'NET_TCP'", "no list")),
}


@pytest.mark.parametrize("field", FIELDS, ids=":".join)
def test_fields(field: tuple[str, str], marker: Path) -> None:
    wrong = FIELDS[field]
    attempt(wrong._replace(words=(field[0], *wrong.words)), marker, fields={field[0]: wrong.value})


COMMANDS = {
    "empty": Wrong([], PolicyError, ("empty", "give the program")),
    "empty program": Wrong(["", "x"], PolicyError, ("empty", "give the program")),
    "text": Wrong("touch {}", PolicyError, ("'touch {}'", "no list", '"sh", "-c"')),
    "bytes": Wrong(b"true", PolicyError, ("b'true'", "no list")),
    "a path": Wrong(Path("/bin/true"), PolicyError, ("/bin/true", "no list")),
    "None": Wrong(None, PolicyError, ("None", "no list")),
    "NUL in the program": Wrong(["tr\0ue"], PolicyError, (r"tr\\x00ue", "NUL")),
    "NUL in an argument": Wrong(["true", "\0"], PolicyError, (r"\\x00", "NUL")),
    "a number": Wrong(["sleep", 3], PolicyError, (r"\[1\]", "3", "no str, bytes or path")),
    "surrogate": Wrong(["true", "\ud800"], PolicyError, (r"\[1\]", "ud800", "cannot be encoded")),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_commands(name: str, marker: Path) -> None:
    wrong = COMMANDS[name]
    with pytest.raises(PolicyError) as caught:
        tool_sandbox().run(wrong.value)
    for words in ("cmd", *wrong.words):
        assert re.search(words, str(caught.value))
    assert not marker.exists()


REGISTRATIONS = {
    "unknown": Wrong([("opennat", ALLOW)], ValueError, ('"opennat"', 'did you mean "openat"')),
    "unlike any": Wrong([("sandlocksandlock", ALLOW)], ValueError, ("sandlocksandlock",)),
    "other case": Wrong([("OPENAT", ALLOW)], ValueError, ('"OPENAT"', 'did you mean "openat"')),
    "empty name": Wrong([("", ALLOW)], ValueError, ('""',)),
    "NUL": Wrong([("open\0at", ALLOW)], ValueError, (r"open\\x00at", "NUL")),
    "surrogate": Wrong([("\ud800", ALLOW)], ValueError, ("ud800",)),
    "negative": Wrong([(-1, ALLOW)], PolicyError, ("-1", "negative|no system call number", "start at 0")),
    "no number": Wrong([(100_000, ALLOW)], PolicyError, ("100000", "not a known syscall")),
    "huge": Wrong([(1 << 70, ALLOW)], PolicyError, (str(1 << 70),)),
    "denied": Wrong([("ptrace", ALLOW)], PolicyError, ("ptrace", "denies", "EPERM")),
    "denied, by number": Wrong([(101, ALLOW)], PolicyError, ("ptrace|101", "denies")),
    "clone3": Wrong([("clone3", ALLOW)], PolicyError, ("clone3", "denies", "ENOSYS")),
    "network": Wrong([("connect", ALLOW)], PolicyError, ("connect", "denies", "no network")),
    "a bool": Wrong([(True, ALLOW)], TypeError, ("bool", "name or a number")),
    "a float": Wrong([(1.0, ALLOW)], TypeError, ("float", "name or a number")),
    "bytes": Wrong([(b"openat", ALLOW)], TypeError, ("bytes", "name or a number")),
    "None for a call": Wrong([(None, ALLOW)], TypeError, ("NoneType", "name or a number")),
    "no handler": Wrong([("openat", lambda ctx: None)], TypeError, (r"\[0\]", "lambda", "subclass sandlock.Handler")),
    "None for a handler": Wrong([("openat", None)], TypeError, (r"\[0\]", "None", "subclass sandlock.Handler")),
    "a class": Wrong([("openat", Answer)], TypeError, (r"\[0\]", "Answer", r"Answer\(\)")),
    "nothing to call": Wrong([("openat", Handler())], TypeError, (r"\[0\]", "Handler", r"handle\(self, ctx\)")),
    "the second": Wrong([("openat", ALLOW), ("openat", 3)], TypeError, (r"\[1\]", "3")),
    "one element": Wrong([("openat",)], TypeError, (r"handlers\[0\]", r"\(syscall, handler\)")),
    "four elements": Wrong([("openat", ALLOW, ExceptionPolicy.KILL, 4)], TypeError, (r"handlers\[0\]",)),
    "no pair": Wrong(["openat"], TypeError, (r"handlers\[0\]", "'openat'")),
    "a mapping": Wrong({"openat": ALLOW}, TypeError, (r"handlers", "'openat'")),
    "None": Wrong(None, TypeError, ("handlers|iterable",)),
    "rule": Wrong([("openat", ALLOW, "kill")], TypeError, (r"handlers\[0\]", "on_exception", "'kill'")),
    "rule's key": Wrong([("openat", ALLOW, {3: ExceptionPolicy.KILL})], TypeError, (r"handlers\[0\]", "3")),
    "rule's value": Wrong([("openat", ALLOW, {OSError: 3})], TypeError, (r"handlers\[0\]", "3", "NotifAction")),
}


@pytest.mark.parametrize("name", REGISTRATIONS)
def test_registrations(name: str, marker: Path) -> None:
    wrong = REGISTRATIONS[name]
    attempt(wrong, marker, handlers=wrong.value)


def test_handler_on_what_the_policy_denies_on_top(marker: Path) -> None:
    wrong = Wrong(None, PolicyError, ("getppid", "denies", "extra deny list|extra_deny_syscalls"))
    attempt(wrong, marker, fields={"extra_deny_syscalls": ["getppid"]}, handlers=[("getppid", ALLOW)])


def test_rule_of_a_handler(marker: Path) -> None:
    class Misruled(Answer):
        on_exception = "kill"  # type: ignore[assignment]

    attempt(Wrong(None, TypeError, (r"\[0\]", "Misruled", "'kill'")), marker, handlers=[("openat", Misruled())])


def test_rule_of_the_sandbox() -> None:
    with pytest.raises(TypeError, match=r"on_exception.*'kill'"):
        Sandbox(on_exception="kill")  # type: ignore[arg-type]


def test_rule_of_the_sandbox_that_was_set_later(marker: Path) -> None:
    wrong = Wrong(None, TypeError, ("on_exception", "'kill'"))
    attempt(wrong, marker, fields={"on_exception": "kill"}, handlers=[("openat", ALLOW)])


OPTIONS: dict[str, tuple[dict[str, Any], type[Exception], tuple[str, ...]]] = {
    "input is text": ({"input": "text"}, TypeError, ("input", "bytes", "str")),
    "input is a number": ({"input": 3}, TypeError, ("input", "bytes", "int")),
    "timeout is text": ({"timeout": "1"}, TypeError, ("timeout", "number", "str")),
    "timeout is negative": ({"timeout": -1}, ValueError, ("timeout", "-1")),
}


@pytest.mark.parametrize("name", OPTIONS)
def test_options(name: str, marker: Path) -> None:
    options, error, words = OPTIONS[name]
    attempt(Wrong(None, error, words), marker, **options)


def test_unknown_field() -> None:
    with pytest.raises(TypeError, match="fs_readible"):
        Sandbox(fs_readible=["/usr"])  # type: ignore[call-arg]


def test_errors_say_nothing_of_values_that_may_be_secret(marker: Path) -> None:
    with pytest.raises(PolicyError) as caught:
        tool_sandbox(env={"TOKEN": "s3cret\0"}).run(["touch", marker])
    assert "s3cret" not in str(caught.value)


def test_a_wrong_run_does_not_occupy_the_sandbox(marker: Path) -> None:
    box = tool_sandbox()
    for handlers in ([("ptrace", ALLOW)], [("openat", 3)]):
        with pytest.raises((PolicyError, TypeError)):
            box.run(["touch", marker], handlers=handlers)  # type: ignore[arg-type]
    assert box.run(["true"], handlers=[("openat", ALLOW, NotifAction.continue_())]).success
