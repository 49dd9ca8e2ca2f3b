"""sandlock audit."""

from __future__ import annotations

import dataclasses
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from sandlock.audit import Call
from sandlock.cli.slow import SlowCall
from tests.cli.conftest import Call as Sandlock


def events(text: str) -> dict[str, list[dict[str, Any]]]:
    """Return the lines of --json by their event."""
    found: dict[str, list[dict[str, Any]]] = {"call": [], "slow": [], "end": []}
    for line in text.splitlines():
        event = json.loads(line)
        found[event.pop("event")].append(event)
    return found


def sections(text: str) -> dict[str, list[str]]:
    """Return the lists of a summary by their titles."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if line.startswith("  "):
            found[list(found)[-1]].append(line.strip())
        elif line:
            found[line.partition(" (")[0]] = []
    return found


def test_summary(sandlock_command: Sandlock, tmp_path: Path) -> None:
    done = sandlock_command("audit", "--", "sh", "-c", "echo abc > made; cat made none 2>/dev/null; exit 3")
    assert (done.returncode, done.stdout) == (3, "abc\n")
    ending, *lists = sections(done.stderr).items()
    assert ending[0].startswith("the command exited with status 3; ")
    found = dict(lists)
    assert found["changed"] == [f"1  {tmp_path}/work/made", "1  /dev/null"]
    assert f"1  {tmp_path}/work/made" in found["opened"]
    assert f"1  {tmp_path}/work/none" in found["not there"]
    assert found["programs"][-1] == "1  cat made none"
    assert any(line.endswith("  execve") for line in found["system calls"])


def test_network(sandlock_command: Sandlock) -> None:
    script = """
import socket
with socket.socket(type=socket.SOCK_DGRAM) as a:
    a.bind(("127.0.0.1", 0))
    a.sendto(b"x", ("127.0.0.1", 9))
"""
    found = sections(sandlock_command("audit", "--", sys.executable, "-c", script).stderr)
    assert (found["connected to"], found["bound"]) == (["1  udp 127.0.0.1:9"], ["1  udp 127.0.0.1:0"])


def test_json(sandlock_command: Sandlock, tmp_path: Path) -> None:
    done = sandlock_command("audit", "--json", "--", "sh", "-c", "echo abc > made; echo said; exit 3")
    assert (done.returncode, done.stderr) == (3, "said\n")
    found = events(done.stdout)
    (made,) = [call for call in found["call"] if call["paths"] == [f"{tmp_path}/work/made"]]
    assert made.keys() == {field.name for field in dataclasses.fields(Call)}
    assert (made["syscall"], made["writes"], made["found"], made["peer"]) == ("openat", True, [False], None)
    assert all(not call["writes"] for call in found["call"] if call != made)
    assert found["call"][0]["argv"] == ["sh", "-c", "echo abc > made; echo said; exit 3"]
    (end,) = found["end"]
    assert (end["status"], end["calls"]) == (3, len(found["call"]))
    assert 0 < made["at"] < end["at"]


def test_slow_calls(sandlock_command: Sandlock) -> None:
    found = events(sandlock_command("audit", "--json", "--", "sh", "-c", "sleep 0.5; :").stdout)
    slow = {call["program"]: call for call in found["slow"] if call["syscall"] in ("wait4", "clock_nanosleep")}
    assert {program: call["syscall"] for program, call in slow.items()} == {"sh": "wait4", "sleep": "clock_nanosleep"}
    assert slow["sleep"].keys() == {field.name for field in dataclasses.fields(SlowCall)}
    assert slow["sleep"]["pid"] != slow["sh"]["pid"]
    for call in slow.values():
        assert 0 < call["seconds"] <= found["end"][0]["at"] - call["at"]


def test_with_a_policy(sandlock_command: Sandlock, system: list[str]) -> None:
    done = sandlock_command("audit", *system, "--", "sh", "-c", "echo abc > made")
    assert done.returncode != 0
    assert "made" in done.stderr


def test_names_do_not_steer_the_terminal(sandlock_command: Sandlock) -> None:
    name = "\x1b[2J"
    done = sandlock_command("audit", "--", "sh", "-c", f"echo abc > '{name}'")
    assert "\x1b" not in done.stderr
    assert r"work/\x1b[2J" in done.stderr


def test_paths_cannot_write_to_the_terminal(sandlock_command: Sandlock) -> None:
    names = ["\033]0;title\007", "a\n     1  forged", "\u202ebidi", "\udcff"]
    done = sandlock_command("audit", "--", "sh", "-c", 'for name; do : > "$name"; done', "sh", *names)
    assert done.stderr.replace("\n", "").isprintable()
    for written_out in ("\\x1b]0;title\\x07", "a\\n     1  forged", "\\u202ebidi", "\\udcff"):
        assert f"/{written_out}\n" in done.stderr


def test_learns_from_what_is_no_program(sandlock_command: Sandlock, tmp_path: Path) -> None:
    script = "mkfifo pipe; echo '#!' > empty; chmod +x pipe empty; ./pipe; ./empty; true"
    done = sandlock_command("learn", "--", "sh", "-c", script)
    assert done.returncode == 0
    assert f"{tmp_path}/work" in done.stdout


def test_what_cannot_be_executed(sandlock_command: Sandlock) -> None:
    done = sandlock_command("audit", "--", "none-such")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (127, "", 1)


@pytest.mark.parametrize("flags", [(), ("--json",)], ids=["summary", "json"])
def test_interrupt(flags: tuple[str, ...], environment: dict[str, str], tmp_path: Path) -> None:
    """A server, for one, ends no other way."""
    command = [sys.executable, "-m", "sandlock", "audit", *flags, "--", "sh", "-c", "echo ready >&2; exec sleep 1000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
        assert process.stderr is not None
        assert process.stderr.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + signal.SIGINT
    assert events(output.decode())["end"][0]["status"] is None if flags else b"the command was interrupted" in errors
