"""Profiles are strict, know ${HOME}, extend one another, and give way to overrides."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Any

import pytest

import sandlock
from sandlock import PolicyError, Protection, Sandbox, list_profiles, load_profile
from sandlock.profiles import Profile, read_profile, write_profile
from tests.support.profiles import Write

WHOLE = """
[program]
exec = "${HOME}/tool"
args = ["-v"]
env = { WHERE = "${HOME}" }
clean_env = true

[filesystem]
read = ["/usr", "/bin", "/lib", "/lib64"]
write = ["/dev/null", "${HOME}/data"]
deny = ["${HOME}/data/secret"]

[network]
allow_bind = ["0", "8080"]

[limits]
open_files = 32

[protections]
allow_degraded = ["SIGNAL_SCOPE", 5]
"""


def test_a_profile_is_a_sandbox(write: Write, home: Path) -> None:
    (home / "data").mkdir()
    (home / "data" / "secret").write_text("key")
    (home / "data" / "file").write_text("")
    write("mine", WHOLE)
    box = load_profile("mine")
    assert box == Sandbox(
        fs_readable=["/usr", "/bin", "/lib", "/lib64"],
        fs_writable=["/dev/null", f"{home}/data"],
        fs_denied=[f"{home}/data/secret"],
        net_allow_bind=["0", "8080"],
        env={"WHERE": str(home)},
        clean_env=True,
        max_open_files=32,
        allow_degraded=[Protection.SIGNAL_SCOPE, Protection.ABSTRACT_UNIX_SOCKET_SCOPE],
        name=box.name,
    )
    result = box.run(["sh", "-c", "ulimit -n; echo x > $WHERE/data/file; cat $WHERE/data/secret"])
    assert (result.exit_code, result.stdout) == (1, b"32\n")
    assert (home / "data" / "file").read_text() == "x\n"


def test_command_of_a_profile(write: Write, home: Path) -> None:
    path = write("mine", WHOLE)
    profile = read_profile("mine")
    assert (profile.files, profile.command) == ((path,), (f"{home}/tool", "-v"))
    assert read_profile("tools").command == ()


def test_by_path(home: Path, work: Path) -> None:
    (work / "here.toml").write_text("[program]\nclean_env = true\n")
    for path in ("here.toml", "./here.toml", Path("here.toml"), work / "here.toml", bytes(work / "here.toml")):
        assert Sandbox.from_profile(path).clean_env


def test_overrides_win(write: Write) -> None:
    write("mine", WHOLE)
    box = Sandbox.from_profile("mine", fs_writable=["/dev/null"], max_open_files=None, name="other")
    assert (box.fs_writable, box.max_open_files, box.name, box.clean_env) == (["/dev/null"], None, "other", True)
    with pytest.raises(TypeError, match="fs_readible"):
        Sandbox.from_profile("mine", fs_readible=[])


def test_subclass(write: Write) -> None:
    class Mine(Sandbox):
        pass

    assert isinstance(Mine.from_profile("tools"), Mine)


def test_layers(write: Write) -> None:
    write(
        "base",
        '[filesystem]\nread = ["/usr", "/etc"]\n[program]\nenv = { A = "1", B = "1" }\n[limits]\nopen_files = 9\n',
    )
    write(
        "mine",
        'extends = "base"\n[filesystem]\nread = ["/opt", "/etc"]\n[program.env]\nB = "2"\n[limits]\nopen_files = 8\n',
    )
    box = load_profile("mine")
    assert box.fs_readable == ["/usr", "/etc", "/opt"]
    assert box.env == {"A": "1", "B": "2"}
    assert box.max_open_files == 8


def test_a_user_may_extend_the_built_in_profile_of_the_same_name(write: Write) -> None:
    mine = write("python", 'extends = "python"\n[filesystem]\nwrite = ["."]\n')
    profile = read_profile("python")
    assert [file.name for file in profile.files] == ["tools.toml", "python.toml", "python.toml"]
    assert profile.files[-1] == mine
    assert load_profile("python").fs_writable == ["/dev/null", "."]


def test_list(write: Write) -> None:
    built_in = list_profiles()
    assert {"gcc", "git", "node", "pytest", "python"} <= set(built_in)
    write("mine", "")
    write("python", "")
    assert list_profiles() == sorted([*built_in, "mine"])


def test_home_may_be_any_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = os.fsdecode(bytes(tmp_path) + b"/caf\xe9")
    monkeypatch.setenv("HOME", home)
    folder = Path(home, ".config", "sandlock", "profiles")
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text('[filesystem]\nread = ["${HOME}/x", "/ü"]\n')
    box = load_profile("mine")
    assert box.fs_readable == [f"{home}/x", "/ü"]
    with pytest.raises(PolicyError, match="is not UTF-8"):
        write_profile(box)


def test_errors_name_file_line_and_key(write: Write) -> None:
    path = write("wrong", '[filesystem]\nread = ["/usr"]\nwirte = ["/tmp"]\n')
    with pytest.raises(PolicyError) as caught:
        load_profile("wrong")
    assert str(caught.value) == f"{path}:3: [filesystem] wirte: is no key of this section; did you mean write?"


def test_errors_of_the_base_name_its_file(write: Write) -> None:
    base = write("base", "[limits]\nopen_files = 1\n")
    write("mine", 'extends = "base"\n')
    with pytest.raises(PolicyError, match=f"^{base}:2: \\[limits\\] open_files: 1 leaves no room"):
        load_profile("mine")


@pytest.mark.parametrize("name", [None, 3, ["python"]])
def test_wrong_types(name: Any) -> None:
    with pytest.raises(PolicyError, match="profile"):
        load_profile(name)


def test_written_profiles_read_the_same(write: Write, home: Path) -> None:
    write("mine", WHOLE)
    first = read_profile("mine")
    again = write("again", write_profile(load_profile("mine"), first.command))
    second = read_profile("again")
    assert second == Profile((again,), first.command, second.fields)
    first_box, second_box = Sandbox(**first.fields), Sandbox(**second.fields, name=None)
    second_box.name = first_box.name
    assert second_box == first_box


def test_names_at_the_root() -> None:
    assert sandlock.load_profile is load_profile
    assert sandlock.list_profiles is list_profiles


FIELDS: dict[str, tuple[str, str, Any]] = {
    "fs_readable": ("filesystem", 'read = ["/usr"]', ["/usr"]),
    "fs_writable": ("filesystem", 'write = ["/tmp"]', ["/tmp"]),
    "fs_denied": ("filesystem", 'deny = ["/tmp/x"]', ["/tmp/x"]),
    "extra_deny_syscalls": ("syscalls", 'extra_deny = ["getppid"]', ["getppid"]),
    "extra_allow_syscalls": ("syscalls", 'extra_allow = ["sysv_ipc"]', ["sysv_ipc"]),
    "net_allow": ("network", 'allow = ["*:443"]', ["*:443"]),
    "net_deny": ("network", 'deny = ["10.0.0.0/8"]', ["10.0.0.0/8"]),
    "net_allow_bind": ("network", 'allow_bind = [80, "90-99"]', [80, "90-99"]),
    "net_deny_bind": ("network", 'deny_bind = ["22"]', ["22"]),
    "max_memory": ("limits", 'memory = "512M"', "512M"),
    "max_disk": ("limits", "disk = 1048576", 1048576),
    "max_processes": ("limits", "processes = 10", 10),
    "max_open_files": ("limits", "open_files = 64", 64),
    "max_cpu": ("limits", "cpu = 50", 50),
    "cpu_cores": ("limits", "cpu_cores = [0]", [0]),
    "num_cpus": ("limits", "num_cpus = 1", 1),
    "random_seed": ("determinism", "random_seed = 7", 7),
    "time_start": ("determinism", "time_start = 2000-01-01T00:00:00Z", "2000-01-01T00:00:00Z"),
    "deterministic_dirs": ("determinism", "deterministic_dirs = true", True),
    "no_randomize_memory": ("determinism", "no_randomize_memory = true", True),
    "env": ("program", 'env = { A = "1" }', {"A": "1"}),
    "clean_env": ("program", "clean_env = true", True),
    "cwd": ("program", 'cwd = "/"', "/"),
    "uid": ("program", "gid = 0\nuid = 0", 0),
    "gid": ("program", "uid = 0\ngid = 0", 0),
    "umask": ("program", "umask = 0o22", 0o22),
    "no_coredump": ("program", "no_coredump = true", True),
    "no_huge_pages": ("program", "no_huge_pages = true", True),
    "allow_degraded": ("protections", 'allow_degraded = ["NET_TCP"]', [Protection.NET_TCP]),
    "disable": ("protections", "disable = [2]", [Protection.NET_TCP]),
}
"""How a profile says a field of the policy: section, line, and the field's value then."""

NO_POLICY = {"name", "policy_fn", "on_exception", "handler_timeout", "handler_threads"}


@pytest.mark.parametrize("field", sorted({field.name for field in dataclasses.fields(Sandbox)} - NO_POLICY))
def test_every_field_can_be_set_and_shown(field: str, write: Write) -> None:
    section, line, value = FIELDS[field]
    write("mine", f"[{section}]\n{line}\n")
    box = load_profile("mine")
    assert getattr(box, field) == value
    shown = load_profile(write("shown", write_profile(box)))
    assert write_profile(shown) == write_profile(box)
    assert str(getattr(shown, field)) == str(value).replace("[80,", "['80',")  # ports are shown as text
