"""The command's environment is the host's as it is when the run starts, changed as the policy says."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandlock import Sandbox
from tests.support.sandboxes import tool_sandbox


def environment_in(box: Sandbox) -> dict[bytes, bytes]:
    printed = box.run(["/usr/bin/env", "-0"], check=True).stdout
    entries = printed.split(b"\0")[:-1]
    environment = {name: value for name, _, value in (entry.partition(b"=") for entry in entries)}
    assert len(environment) == len(entries)
    return environment


def test_it_is_the_hosts(box: Sandbox) -> None:
    assert environment_in(box) == dict(os.environb)


def test_changes_at_run_time_arrive(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDLOCK_TEST", "one")
    assert environment_in(box)[b"SANDLOCK_TEST"] == b"one"
    monkeypatch.setenv("SANDLOCK_TEST", "two")
    assert environment_in(box)[b"SANDLOCK_TEST"] == b"two"
    monkeypatch.delenv("SANDLOCK_TEST")
    assert b"SANDLOCK_TEST" not in environment_in(box)


@pytest.mark.parametrize("value", ["", "=", "a=b=c", "line\nline", " ", "ä", "\udcff\udcfe", "x" * 100_000])
def test_values_arrive_as_they_are(box: Sandbox, monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("SANDLOCK_TEST", value)
    box.env = {"SANDLOCK_ENV": value, "SANDLOCK_ENV_\udcff": value}
    seen = environment_in(box)
    assert seen[b"SANDLOCK_TEST"] == seen[b"SANDLOCK_ENV"] == seen[b"SANDLOCK_ENV_\xff"] == os.fsencode(value)


def test_env_adds_and_overrides(box: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SANDLOCK_KEPT", "host")
    monkeypatch.setenv("SANDLOCK_CHANGED", "host")
    box.env = {"SANDLOCK_CHANGED": "policy", "SANDLOCK_NEW": "policy"}
    expected = {**os.environb, b"SANDLOCK_CHANGED": b"policy", b"SANDLOCK_NEW": b"policy"}
    assert environment_in(box) == expected


def test_the_hosts_is_left_alone(box: Sandbox) -> None:
    before = dict(os.environb)
    box.env = {"SANDLOCK_NEW": "policy", "PATH": "/nonexistent"}
    box.run(["/bin/true"], check=True)
    assert dict(os.environb) == before


def test_clean_env(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PATH", "HOME", "USER", "TERM", "LANG", "LC_ALL", "SHELL", "SANDLOCK_SECRET", "LD_LIBRARY_PATH"):
        monkeypatch.setenv(name, f"/{name}")
    kept = {name.encode(): b"/" + name.encode() for name in ("PATH", "HOME", "USER", "TERM", "LANG")}
    assert environment_in(tool_sandbox(clean_env=True)) == kept
    changed = {**kept, b"HOME": b"/new", b"SANDLOCK_NEW": b"new"}
    assert environment_in(tool_sandbox(clean_env=True, env={"HOME": "/new", "SANDLOCK_NEW": "new"})) == changed
    monkeypatch.delenv("TERM")
    del kept[b"TERM"]
    assert environment_in(tool_sandbox(clean_env=True)) == kept


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a program that no other folder has."""
    program = tmp_path / "sandlock-test-program"
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    return tmp_path


def test_path_is_the_one_of_the_moment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    box = tool_sandbox([folder])
    assert box.run(["sandlock-test-program"]).exit_code == 127
    monkeypatch.setenv("PATH", f"{os.environ['PATH']}:{folder}")
    assert box.run(["sandlock-test-program"]).stdout == b"found\n"
    assert box.run(["sh", "-c", "sandlock-test-program"]).stdout == b"found\n"


def test_path_of_the_policy_is_searched(folder: Path) -> None:
    box = tool_sandbox([folder], env={"PATH": str(folder)})
    assert box.run(["sandlock-test-program"]).stdout == b"found\n"
    assert box.run(["true"]).exit_code == 127


def test_no_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PATH")
    box = tool_sandbox([folder])
    result = box.run(["sandlock-test-program"])
    assert result.exit_code == 127
    assert "PATH" in str(result.error)
    assert box.run([folder / "sandlock-test-program"]).stdout == b"found\n"


def test_relative_entries_of_path(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    for path in ("", ".", "/nonexistent:", ":/nonexistent", "./."):
        monkeypatch.setenv("PATH", path)
        assert tool_sandbox([folder]).run(["sandlock-test-program"]).stdout == b"found\n", path


def test_relative_entries_of_path_are_the_commands(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir("/")
    monkeypatch.setenv("PATH", ".")
    assert tool_sandbox([folder], cwd=folder).run(["sandlock-test-program"]).stdout == b"found\n"
    monkeypatch.chdir(folder)
    assert tool_sandbox([folder], cwd="/").run(["sandlock-test-program"]).exit_code == 127
