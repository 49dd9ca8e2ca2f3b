"""sandlock run."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import sandlock
from sandlock.cli import main
from tests.cli.conftest import Call


def test_streams_pass_through(sandlock_command: Call, system: list[str]) -> None:
    done = sandlock_command("run", *system, "--", "sh", "-c", "cat; echo err >&2", stdin=None, input="abc\n")
    assert (done.returncode, done.stdout, done.stderr) == (0, "abc\n", "err\n")


@pytest.mark.parametrize(
    ("script", "status"), [("exit 3", 3), ("kill -TERM $$", 128 + signal.SIGTERM), ("sleep 1000", 124)]
)
def test_status(sandlock_command: Call, system: list[str], script: str, status: int) -> None:
    done = sandlock_command("run", *system, "--timeout=1", "--", "sh", "-c", script)
    assert done.returncode == status


def test_nothing_is_granted(sandlock_command: Call) -> None:
    done = sandlock_command("run", "--", "true")
    assert done.returncode == 127
    assert done.stderr.count("permission denied") == 1
    assert done.stderr.splitlines()[-1].startswith("sandlock: nothing is granted; ")


def test_what_is_granted(sandlock_command: Call, system: list[str], tmp_path: Path) -> None:
    (tmp_path / "denied").mkdir()
    flags = [*system, "-r", tmp_path, "-w", "here", "--fs-deny", tmp_path / "denied"]
    (tmp_path / "work" / "here").mkdir()
    script = f"echo 1 > here/file; echo 1 > there; ls {tmp_path}/denied"
    done = sandlock_command("run", *flags, "--", "sh", "-c", script)
    assert done.returncode != 0
    assert (tmp_path / "work" / "here" / "file").exists()
    assert not (tmp_path / "work" / "there").exists()


def test_limits_and_environment(sandlock_command: Call, system: list[str]) -> None:
    flags = [*system, "--max-open-files=40", "--clean-env", "--env", "A=b c", "--cwd=/usr", "-P", 9]
    done = sandlock_command("run", *flags, "--", "sh", "-c", "ulimit -n; echo $A; pwd")
    assert done.stdout == "40\nb c\n/usr\n"


def test_determinism(sandlock_command: Call, system: list[str]) -> None:
    flags = [*system, "-r", sys.prefix, "-r", sys.base_prefix, "--random-seed=7", "--time-start=2020-01-02T03:04:05Z"]
    script = "import os, time; print(os.urandom(8).hex(), int(time.time()))"
    first, second = (sandlock_command("run", *flags, "--", sys.executable, "-c", script) for _ in range(2))
    assert first.stdout == second.stdout
    assert first.stdout.endswith(" 1577934245\n")


def test_profile(sandlock_command: Call, system: list[str], tmp_path: Path) -> None:
    profile = tmp_path / "work" / "mine.toml"
    lines = ["[program]", 'exec = "sh"', 'args = ["-c", "echo $A; ulimit -n"]', "[program.env]", 'A = "1"']
    profile.write_text("\n".join([*lines, "[limits]", "open_files = 50"]))
    assert sandlock_command("run", "--profile-file=mine.toml", *system).stdout == "1\n50\n"
    changed = sandlock_command("run", "--profile-file=mine.toml", *system, "--env=A=2", "--max-open-files=30")
    assert changed.stdout == "2\n30\n"


WRONG: dict[tuple[str, ...], str] = {
    ("run", "--env", "A", "--", "true"): "sandlock: --env: 'A' has no value; write NAME=VALUE",
    ("run", "--uid", "me", "--", "true"): "sandlock: --uid: 'me' is no UID or UID:GID; write numbers",
    ("run", "-m", "many", "--", "true"): "sandlock: max_memory",
    ("run", "--net-allow", "nowhere", "--", "true"): "sandlock: net_allow: ",
    ("run", "-r", "/none/such", "--", "true"): "sandlock: fs_readable",
    ("run", "--profile", "none-such", "--", "true"): "sandlock: ",
}


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_flags(sandlock_command: Call, arguments: tuple[str, ...]) -> None:
    done = sandlock_command(*arguments)
    assert (done.returncode, done.stdout) == (125, "")
    assert done.stderr.startswith(WRONG[arguments])


def test_identity(sandlock_command: Call, system: list[str]) -> None:
    if not sandlock.check()["user_namespaces"].available:
        pytest.skip("no user namespaces: sandlock.check() says so")
    for flag, shown in (("12", "12 12"), ("12:34", "12 34")):
        done = sandlock_command("run", *system, "--uid", flag, "--", "sh", "-c", "echo $(id -u) $(id -g)")
        assert (done.stdout, done.stderr) == (f"{shown}\n", "")


@pytest.mark.parametrize(
    "command",
    [
        *("run", "audit", "learn", "check", "ps", "inspect", "kill", "completion"),
        *("profile", "profile list", "profile show", "profile check"),
    ],
)
def test_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([*command.split(), "--help"])
    text = capsys.readouterr().out
    assert f"sandlock {command}" in text.partition("\nexamples:\n")[2]
    assert all(len(line) <= 120 for line in text.splitlines())


def test_a_reader_that_has_had_enough(environment: dict[str, str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "sandlock", "profile", "list"]
    with open(writer, "wb") as output:
        done = subprocess.run(command, stdout=output, stderr=subprocess.PIPE, env=environment, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, b"")


def test_usage(sandlock_command: Call) -> None:
    assert sandlock_command("run", "--none-such").returncode == 2
    assert "examples:" in sandlock_command("run", "--help").stdout


def test_interrupt(system: list[str], environment: dict[str, str]) -> None:
    script = "trap 'echo interrupted; exit 4' INT; echo ready; while :; do sleep 0.1; done"
    command = [sys.executable, "-m", "sandlock", "run", *system, "--", "sh", "-c", script]
    last_words: list[bytes] = []
    while b"interrupted\n" not in last_words and len(last_words) < 10:  # a busy machine may not let it have them
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            process.send_signal(signal.SIGINT)
            output, errors = process.communicate(timeout=60)
        assert (process.returncode, errors) == (130, b"")
        last_words.append(output)
    assert last_words[-1] == b"interrupted\n"
