"""RecordHandler keeps what calls give, and ReplayHandler gives it again where the source is gone."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandlock import ExceptionPolicy, Result, Sandbox
from sandlock._request import Command
from sandlock.presets import RecordHandler, ReplayError, ReplayHandler
from tests.support.acts import AT_FDCWD, Back, Buffer, Call, act
from tests.support.processes import open_fds
from tests.support.programs import Program
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox


@pytest.fixture(autouse=True)
def _leaves_no_descriptor() -> Iterator[None]:
    before = open_fds()
    yield
    assert open_fds() <= before


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    (folder / "a.conf").write_text("colour = red\nshape = round\n" * 1000)
    (folder / "link").symlink_to("a.conf")
    return folder


@pytest.fixture
def box(tmp_path: Path) -> Sandbox:
    return tool_sandbox([tmp_path, *PYTHON_PATHS])


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / "recording.json"


def record(box: Sandbox, kept: Path, source: Path, command: Command, **options: Any) -> Result:
    recording = RecordHandler([str(source), f"{source}/*"], **options)
    result = box.run(command, handlers=recording.registrations, timeout=60)
    assert result.handler_errors == []
    recording.save(kept)
    return result


def replay(box: Sandbox, kept: Path, command: Command) -> Result:
    return box.run(command, handlers=ReplayHandler(kept).registrations, timeout=60)


COMMANDS = {
    "cat": "cat @/a.conf @/link",
    "grep": "grep -c red @/a.conf; grep red @/none",
    "tools": "wc @/a.conf; head -n1 @/a.conf; tail -n1 @/a.conf; sort -u @/a.conf; md5sum @/link",
    "a copy": "cp @/a.conf /dev/null && echo copied",
    "questions": "stat @/a.conf; readlink @/link; test -e @/none || echo none; test -r @/a.conf && echo readable",
    "a folder": "ls -A @",
    "a relative path": "cd / && cat .@/a.conf",
    "twice": "cat @/a.conf; cat @/a.conf",
    "a pipe": "cat @/a.conf | head -n 2 | tr a-z A-Z",
}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_source_is_gone(box: Sandbox, source: Path, kept: Path, name: str) -> None:
    command = ["sh", "-c", COMMANDS[name].replace("@", str(source))]
    recorded = record(box, kept, source, command)
    assert recorded.stdout
    shutil.rmtree(source)
    replayed = replay(box, kept, command)
    assert (replayed.stdout, replayed.stderr, replayed.exit_code, replayed.handler_errors) == (
        recorded.stdout,
        recorded.stderr,
        recorded.exit_code,
        [],
    )


def test_the_source_has_changed(box: Sandbox, source: Path, kept: Path) -> None:
    """A program in another language sees the old one, its own files and what was not recorded are as ever."""
    script = (
        "import os, sys; path = sys.argv[1]; print(open(path).read()[:12], os.stat(path).st_size, os.uname().release)"
    )
    command = [sys.executable, "-I", "-c", script, f"{source}/a.conf"]
    recorded = record(box, kept, source, command)
    (source / "a.conf").write_text("blue")
    assert replay(box, kept, command).stdout == recorded.stdout
    assert recorded.stdout.startswith(b"colour = red 27000 ")


def test_stdin(box: Sandbox, source: Path, kept: Path) -> None:
    """Who was at the other end of the pipe is not there any more."""
    recording = RecordHandler(stdin=True)
    command = ["sh", "-c", "read line; echo $line; cat"]
    recorded = box.run(command, handlers=recording.registrations, input=b"one\ntwo\nthree\n", timeout=60)
    recording.save(kept)
    assert (recorded.stdout, replay(box, kept, command).stdout) == (b"one\ntwo\nthree\n",) * 2


def test_random_numbers(box: Sandbox, source: Path, kept: Path, program: Program) -> None:
    acts = program("acts")
    box.fs_readable = [*box.fs_readable, acts]
    calls: list[Call] = [("getrandom", Buffer(16), 16, 0), ("uname", Buffer(390))]
    recording = RecordHandler(syscalls=["getrandom", "uname"])
    recorded = act(box, acts, calls, handlers=recording.registrations)
    recording.save(kept)
    replayed = act(box, acts, calls, handlers=ReplayHandler(kept).registrations)
    assert replayed == recorded
    assert recorded[0].data != bytes(16)
    assert recorded[1].data.startswith(b"Linux\0")


def test_errors_are_kept(box: Sandbox, source: Path, kept: Path, program: Program) -> None:
    acts = program("acts")
    box.fs_readable = [*box.fs_readable, acts]
    calls: list[Call] = [
        ("openat", AT_FDCWD, f"{source}/none", os.O_RDONLY),
        ("openat", AT_FDCWD, f"{source}/a.conf", os.O_RDONLY),
        ("read", Back(1), 0, 8),
        ("pread64", Back(2), Buffer(8), 8, 2),
        ("lseek", Back(3), 5, os.SEEK_SET),
        ("read", Back(4), Buffer(8), 8),
        ("mmap", 0, 4096, 1, 2, Back(5), 0),
        ("sendfile", 1, Back(6), 0, 100),
    ]
    recording = RecordHandler([f"{source}/*"])
    recorded = act(box, acts, calls, handlers=recording.registrations)
    recording.save(kept)
    shutil.rmtree(source)
    assert act(box, acts, calls, handlers=ReplayHandler(kept).registrations) == recorded
    assert [call.error for call in recorded] == ["ENOENT", "", "EFAULT", "", "", "", "ENODEV", "EINVAL"]
    assert [call.data for call in recorded[3:6:2]] == [b"lour = r", b"r = red\n"]


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("cat @/a.conf @/a.conf", "openat of '@/a.conf' is not in the recording, or not as often"),
        ("cat @/link", "openat of '@/link' is not in the recording, or not as often"),
        ("head -c 20 @/a.conf", "read of '@/a.conf' has the arguments (20,), and ("),
    ],
)
def test_other_calls(box: Sandbox, source: Path, kept: Path, script: str, message: str) -> None:
    record(box, kept, source, ["cat", f"{source}/a.conf"])
    result = replay(box, kept, ["sh", "-c", script.replace("@", str(source))])
    error = result.handler_errors[0].exception
    assert isinstance(error, ReplayError)
    assert str(error).startswith(message.replace("@", str(source)))
    assert not result.success


def test_what_answers_then_is_configurable(box: Sandbox, source: Path, kept: Path) -> None:
    record(box, kept, source, ["cat", f"{source}/a.conf"])
    handlers = [(name, handler, ExceptionPolicy.DENY_EIO) for name, handler in ReplayHandler(kept).registrations]
    result = box.run(["cat", f"{source}/link"], handlers=handlers, timeout=60)
    assert b"Input/output error" in result.stderr


def test_vectors_cannot_be_recorded(box: Sandbox, source: Path) -> None:
    script = "import os, sys; f = os.open(sys.argv[1], 0); os.readv(f, [bytearray(8)])"
    recording = RecordHandler([f"{source}/*"])
    command = [sys.executable, "-I", "-c", script, f"{source}/a.conf"]
    result = box.run(command, handlers=recording.registrations, timeout=60)
    assert "readv of '" in str(result.handler_errors[0].exception)


@pytest.mark.parametrize(
    ("arguments", "kind", "error"),
    [
        ({"paths": "/etc"}, TypeError, "paths must be a list of str, not '/etc'"),
        ({"syscalls": ["ioctl"]}, ValueError, "ioctl cannot be recorded; these can be: "),
        ({"syscalls": ["clock_gettime"]}, ValueError, "clock_gettime is answered by the vDSO, .*time_start"),
        ({"syscalls": ["reed"]}, ValueError, "reed"),
    ],
)
def test_wrong_arguments(arguments: dict[str, Any], kind: type[Exception], error: str) -> None:
    with pytest.raises(kind, match=error):
        RecordHandler(**arguments)


CALL = {"name": "read", "subject": "/x", "numbers": [8], "value": 1, "errno": 0, "data": "eA=="}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"version": 2}, "it is version 2 for"),
        ({"machine": "vax"}, "it is version 1 for vax"),
        ({"calls": {}}, "is no list"),
        ({"calls": [{**CALL, "errno": 5000}]}, "a read gave 1 or errno 5000"),
        ({"calls": [{**CALL, "name": "ioctl"}]}, "ioctl cannot be recorded"),
        ({"calls": [{**CALL, "data": "?"}]}, "base64"),
        ({"calls": [{**CALL, "value": True}]}, "True is no int"),
        ({"syscalls": ["execve"]}, "execve cannot be recorded"),
    ],
)
def test_files_that_are_no_recording(kept: Path, change: dict[str, Any], error: str) -> None:
    RecordHandler(["/x"]).save(kept)
    kept.write_text(json.dumps({**json.loads(kept.read_text()), **change}))
    with pytest.raises(ValueError, match=f"recording.json: no recording that can be replayed here: .*{error}"):
        ReplayHandler(kept)


def test_a_file_that_is_no_json(kept: Path) -> None:
    kept.write_bytes(b"\x80cposix\nsystem\n")
    with pytest.raises(ValueError, match="no recording"):
        ReplayHandler(kept)


def test_paths_that_are_no_list() -> None:
    with pytest.raises(TypeError, match="paths must be a list of str, not 5"):
        RecordHandler(paths=5)  # type: ignore[arg-type]
