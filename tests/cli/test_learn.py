"""sandlock learn: what it has learned lets real commands pass, and nothing beside."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Callable

import pytest

from sandlock.profiles import read_profile
from tests.cli.conftest import Call


@pytest.fixture
def passes(sandlock_command: Call, tmp_path: Path) -> Callable[..., Path]:
    """Learn a command, run it by what was learned, and return the profile."""
    (tmp_path / "secret").write_text("secret")

    def learn(command: list[str], before_again: str = ":") -> Path:
        profile = tmp_path / "learned.toml"
        learned = sandlock_command("learn", "-o", profile, "--", *command)
        assert learned.returncode == 0, learned.stderr
        subprocess.run(["sh", "-c", before_again], cwd=tmp_path / "work", check=True)
        done = sandlock_command("run", f"--profile-file={profile}")
        assert (done.returncode, done.stdout) == (0, learned.stdout), done.stderr
        return profile

    return learn


@pytest.fixture
def refuses(sandlock_command: Call) -> Callable[[Path, Path], None]:
    """See that a profile does not let a file be read, were cat in it as well."""

    def refuse(profile: Path, path: Path) -> None:
        tools = [flag for folder in ("/usr", "/lib", "/lib64") if os.path.exists(folder) for flag in ("-r", folder)]
        for command, status in ((["cat", path], 1), (["true"], 0)):
            done = sandlock_command("run", f"--profile-file={profile}", *tools, "--", *command)
            assert done.returncode == status, done.stderr

    return refuse


Passes = Callable[..., Path]
Refuses = Callable[[Path, Path], None]


def test_files(passes: Passes, refuses: Refuses, tmp_path: Path) -> None:
    work = tmp_path / "work"
    (work / "input").write_text("abc")
    (work / "secret").write_text("abc")
    (work / "out").mkdir()
    profile = passes(["sh", "-c", "cat input > out/copy; mkdir out/folder; ls /usr/lib"], "rm -r out/*")
    assert (work / "out" / "copy").read_text() == "abc"
    refuses(profile, work / "secret")
    assert read_profile(profile).fields["fs_writable"] == [str(work / "out")]


def test_all_that_changes_folders(passes: Passes, refuses: Refuses, tmp_path: Path) -> None:
    script = """
        mkdir -p a/b; echo 1 > a/b/x; mv a/b/x a/y; mv a/b a/c; ln -s y a/l; ln a/y a/h; cat a/l
        rm a/l a/h; rmdir a/c; rm -r a; rm -f ../other/none; mkdir -p ../other
    """
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "secret").touch()
    profile = passes(["sh", "-c", script])
    for place in (tmp_path, tmp_path / "other"):
        refuses(profile, place / "secret")


def test_a_link_that_is_removed_is_of_its_folder(passes: Passes, refuses: Refuses, tmp_path: Path) -> None:
    (tmp_path / "work" / "link").symlink_to(tmp_path / "secret")
    profile = passes(["rm", "link"], f"ln -s {tmp_path}/secret link")
    assert read_profile(profile).fields["fs_writable"] == [str(tmp_path / "work")]
    refuses(profile, tmp_path / "secret")


def test_a_script_and_its_interpreter(passes: Passes, tmp_path: Path) -> None:
    script = tmp_path / "work" / "script"
    script.write_text("#! /bin/sh -e\necho run\n")
    script.chmod(0o755)
    passes([str(script)])


def test_python_with_ssl_and_sqlite(passes: Passes, refuses: Refuses, tmp_path: Path) -> None:
    (tmp_path / "work" / "script.py").write_text(
        "import ssl, sqlite3\n"
        "base = sqlite3.connect('base')\n"
        "base.execute('create table if not exists t (a)')\n"
        "base.execute('insert into t values (1)')\n"
        "base.commit()\n"
        "print(ssl.create_default_context().verify_mode)\n"
    )
    refuses(passes([sys.executable, "script.py"]), tmp_path / "secret")


def test_a_build(passes: Passes, refuses: Refuses, tmp_path: Path) -> None:
    if shutil.which("gcc") is None or shutil.which("make") is None:
        pytest.skip("gcc or make is not on PATH")
    work = tmp_path / "work"
    (work / "main.c").write_text('#include <stdio.h>\nint main(void) { return puts("") < 0; }\n')
    (work / "Makefile").write_text("main: main.c\n\tTMPDIR=. gcc -O -o $@ $<\n")
    refuses(passes(["make"], "rm main"), tmp_path / "secret")
    assert (work / "main").exists()


def test_a_commit(passes: Passes, refuses: Refuses, tmp_path: Path) -> None:
    if shutil.which("git") is None:
        pytest.skip("git is not on PATH")
    work = tmp_path / "work"
    subprocess.run(["git", "init", "-q", "."], cwd=work, check=True)
    (work / "file").write_text("1")
    (work / "untracked").write_text("secret")
    subprocess.run(["git", "add", "file"], cwd=work, check=True)
    commit = ["git", "-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "x"]
    profile = passes(commit, "echo 2 >> file; git add file")
    refuses(profile, work / "untracked")


def test_a_server_and_its_client(passes: Passes, sandlock_command: Call, tmp_path: Path) -> None:
    script = """
import socket
host = "127.0.0.1"
with socket.socket() as server, socket.socket() as client:
    server.bind((host, 0))
    server.listen()
    client.connect(server.getsockname())
    client.sendall(b"tcp")
    print(server.accept()[0].recv(3))
with socket.socket(type=socket.SOCK_DGRAM) as a, socket.socket(type=socket.SOCK_DGRAM) as b:
    a.bind((host, 0))
    b.sendto(b"udp", a.getsockname())
    print(a.recv(3))
"""
    fields = read_profile(passes([sys.executable, "-c", script])).fields
    assert [rule.partition("://127.0.0.1:")[0] for rule in fields["net_allow"]] == ["tcp", "udp"]
    assert fields["net_allow_bind"] == ["0"]
    other = "import socket; socket.create_connection(('127.0.0.1', 9))"
    done = sandlock_command("run", f"--profile-file={tmp_path}/learned.toml", "--", sys.executable, "-c", other)
    assert "PermissionError" in done.stderr


def test_unix_sockets(passes: Passes, tmp_path: Path) -> None:
    """Those of the host by themselves, those of the command by their folder."""
    script = """
import os, socket, sys
client = socket.socket(socket.AF_UNIX)
client.connect("../host/s")
with socket.socket(socket.AF_UNIX) as server:
    server.bind("own/s")
    server.listen()
    socket.socket(socket.AF_UNIX).connect("own/s")
os.unlink("own/s")
for nowhere in ("own/none", "\\0none"):
    print(socket.socket(socket.AF_UNIX).connect_ex(nowhere) > 0)
"""
    own, host = tmp_path / "work" / "own", tmp_path / "host"
    own.mkdir()
    host.mkdir()
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(host / "s"))
        server.listen()
        profile = passes([sys.executable, "-c", script])
    fields = read_profile(profile).fields
    assert fields["net_allow"] == sorted([f"unix://{own}", f"unix://{host}/s"])
    assert str(own) in fields["fs_writable"]


def test_a_udp_client(passes: Passes) -> None:
    script = """
import socket
with socket.socket(type=socket.SOCK_DGRAM) as a:
    print(a.sendto(b"x", ("127.0.0.1", 9)), a.connect(("127.0.0.1", 10)))
"""
    fields = read_profile(passes([sys.executable, "-c", script])).fields
    assert fields["net_allow"] == ["udp://127.0.0.1:10", "udp://127.0.0.1:9"]
    assert "net_allow_bind" not in fields


def test_fixed_ports(passes: Passes, unused_ports: Callable[[int], list[int]]) -> None:
    tcp, udp = unused_ports(2)
    script = f"""
import socket
with socket.socket() as a, socket.socket(type=socket.SOCK_DGRAM) as b:
    a.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    a.bind(("127.0.0.1", {tcp}))
    a.listen()
    b.bind(("127.0.0.1", {udp}))
    b.sendto(b"x", ("127.0.0.1", {udp}))
"""
    fields = read_profile(passes([sys.executable, "-c", script])).fields
    assert sorted(fields["net_allow_bind"]) == sorted(map(str, (tcp, udp)))


def test_shared_memory(passes: Passes) -> None:
    script = """
import ctypes
libc = ctypes.CDLL(None)
segment = libc.shmget(0, 4096, 0o1600)
print(segment >= 0, libc.shmctl(segment, 0, None))
"""
    assert read_profile(passes([sys.executable, "-c", script])).fields["extra_allow_syscalls"] == ["sysv_ipc"]


def test_folders_that_are_granted_whole_are_named(sandlock_command: Call, tmp_path: Path) -> None:
    done = sandlock_command("learn", "-o", "tool.toml", "--", "sh", "-c", "ls > /dev/null; echo > ../made")
    assert done.stderr.splitlines()[-1].strip() == str(tmp_path)
    assert f"{tmp_path}/work" not in done.stderr  # it is in the other
    assert "/usr" not in done.stderr


def test_to_stdout(sandlock_command: Call) -> None:
    done = sandlock_command("learn", "--", "sh", "-c", "echo said; exit 3")
    assert (done.returncode, done.stderr) == (3, "said\n")
    assert done.stdout.startswith("[program]\n")


def test_interrupt(environment: dict[str, str], tmp_path: Path) -> None:
    profile = tmp_path / "learned.toml"
    server = ["sh", "-c", "echo ready; exec sleep 1000"]
    command = [sys.executable, "-m", "sandlock", "learn", "-o", str(profile), "--", *server]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 128 + signal.SIGINT
    assert read_profile(profile).command == tuple(server)
