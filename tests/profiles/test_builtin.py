"""The built-in profiles run the tools that they are made for, and no more."""

from __future__ import annotations

import functools
import http.server
import shutil
import sys
import threading
from pathlib import Path

import pytest

import sandlock
from sandlock import Result, Sandbox, list_profiles, load_profile
from tests.support.profiles import Write


def run(profile: str, *cmd: str, **overrides: object) -> Result:
    return Sandbox.from_profile(profile, **overrides).run(cmd, timeout=60)


def ok(result: Result) -> str:
    assert result.success, (result, result.stdout, result.stderr)
    return result.stdout.decode()


def tool(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not on PATH")
    return path


@pytest.mark.parametrize("name", list_profiles())
def test_every_profile_starts_programs_and_keeps_secrets(
    name: str, work: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "key")
    result = load_profile(name).run(["sh", "-c", "echo $TOKEN; cat /proc/version"])
    assert (result.exit_code, result.stdout) == (1, b"\n"), result.stderr
    assert b"Permission denied" in result.stderr


PYTHON = """
import json, pathlib, random, ssl, sqlite3, subprocess, sys, threading, time, zoneinfo
import helper
thread = threading.Thread(target=time.strftime, args=["%c"])
thread.start(); thread.join()
print(helper.answer, subprocess.run(["echo", "child"], capture_output=True, text=True).stdout.strip())
try:
    pathlib.Path("new").write_text("x")
except PermissionError:
    print("refused")
"""


def test_python_script(work: Path) -> None:
    (work / "helper.py").write_text("answer = 42")
    (work / "script.py").write_text(PYTHON)
    assert ok(run("python", sys.executable, "script.py")) == "42 child\nrefused\n"
    assert sorted(path.name for path in work.iterdir()) == ["helper.py", "script.py"]


TESTS = """
import multiprocessing, pathlib, pytest

@pytest.fixture
def folder(tmp_path):
    return tmp_path

def test_temporary_files(folder):
    (folder / "file").write_text("x")

def test_outside():
    with pytest.raises(PermissionError):
        pathlib.Path("/proc/version").read_text()

def test_processes():
    with multiprocessing.Pool(2) as pool:
        assert pool.map(abs, [-1, 2]) == [1, 2]

def test_that_fails():
    assert 1 + 1 == 3
"""


def test_pytest_run(work: Path, write: Write) -> None:
    # In a checkout sandlock, a plugin of pytest, is installed for editing: in a folder that the profile does not know.
    write("pytest", f'extends = "pytest"\n[filesystem]\nread = ["{Path(sandlock.__file__).parents[1]}"]\n')
    (work / "pytest.ini").write_text("[pytest]\n")
    (work / "test_all.py").write_text(TESTS)
    result = run("pytest", sys.executable, "-m", "pytest", "-q")
    assert result.exit_code == 1, result.stderr
    assert b"1 failed, 3 passed" in result.stdout, result.stdout
    assert b"assert (1 + 1) == 3" in result.stdout
    again = run("pytest", sys.executable, "-m", "pytest", "-q", "--last-failed")
    assert b"1 failed" in again.stdout, again.stdout  # from the cache that the first run has written
    assert b"3 passed" not in again.stdout


NODE = """
const fs = require("fs"), os = require("os"), crypto = require("crypto"), { execFileSync } = require("child_process");
const { Worker, isMainThread } = require("worker_threads");
if (isMainThread) {
    try { fs.writeFileSync("new", "x"); } catch (error) { console.log(error.code); }
    console.log(crypto.createHash("sha256").update(fs.readFileSync("data")).digest("hex").slice(0, 8));
    console.log(os.cpus().length > 0, os.userInfo().uid == process.getuid());
    console.log(execFileSync("echo", ["child"]).toString().trim());
    new Worker(__filename).on("exit", code => console.log("worker", code));
}
"""


def test_node_script(work: Path) -> None:
    (work / "data").write_text("data\n")
    (work / "script.js").write_text(NODE)
    assert ok(run("node", tool("node"), "script.js")) == "EACCES\n6667b2d1\ntrue true\nchild\nworker 0\n"


MAKEFILE = """
program: main.o part.o
\t$(CC) -o $@ $^
%.o: %.c
\t$(CC) -O2 -c -o $@ $<
check: program
\t./program
clean:
\trm -f *.o program
"""


def test_gcc_and_make(work: Path) -> None:
    tool("gcc")
    (work / "main.c").write_text('#include <stdio.h>\nint part(void);\nint main(void) { printf("%d\\n", part()); }\n')
    (work / "part.c").write_text("int part(void) { return 42; }\n")
    (work / "Makefile").write_text(MAKEFILE)
    assert ok(run("gcc", tool("make"), "-j2", "CC=gcc", "check")).endswith("./program\n42\n")
    ok(run("gcc", "make", "clean"))
    assert sorted(path.name for path in work.iterdir()) == ["Makefile", "main.c", "part.c"]


def git(*arguments: str, **overrides: object) -> str:
    return ok(run("git", "git", *arguments, **overrides))


def test_git_clone_and_commit(work: Path, home: Path) -> None:
    tool("git")
    (home / ".gitconfig").write_text(
        "[user]\nname = Somebody\nemail = somebody@example.com\n[init]\ndefaultBranch = main\n"
    )
    git("init", "-q", "first")
    (work / "first" / "file").write_text("1\n")
    git("-C", "first", "add", "file")
    git("-C", "first", "commit", "-q", "-m", "One")
    git("clone", "-q", "first", "second")
    (work / "second" / "file").write_text("2\n")
    git("-C", "second", "commit", "-q", "-a", "-m", "Two")
    git("-C", "second", "push", "-q", "origin", "HEAD:refs/heads/second")
    assert git("-C", "first", "log", "--format=%an %s", "second") == "Somebody Two\nSomebody One\n"
    git("-C", "second", "gc", "-q")
    assert git("-C", "second", "fsck", "--strict") == ""


def test_git_clone_from_a_server(work: Path, home: Path) -> None:
    """The network is granted by an override: without it nobody answers."""
    tool("git")
    (home / ".gitconfig").write_text("[user]\nname = Somebody\nemail = somebody@example.com\n")
    git("init", "-q", "first")
    git("-C", "first", "commit", "-q", "--allow-empty", "-m", "One")
    git("-C", "first", "update-server-info")
    handler = functools.partial(Quiet, directory=str(work))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/first/.git"
            refused = run("git", "git", "clone", "-q", url, "second")
            git("clone", "-q", url, "second", net_allow=[f"tcp://127.0.0.1:{server.server_port}"])
        finally:
            server.shutdown()
            thread.join()
    assert (refused.exit_code, b"Failed to connect" in refused.stderr) == (128, True), refused.stderr
    assert git("-C", "second", "log", "--format=%s") == "One\n"


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *arguments: object) -> None:
        pass


def test_a_script_that_is_found_by_name(work: Path) -> None:
    """Also where the name on PATH is a script that looks for the interpreter."""
    (work / "script.py").write_text("print(6 * 7)")
    tool("python3")
    assert ok(run("python", "python3", "script.py")) == "42\n"


def test_c_plus_plus(work: Path) -> None:
    (work / "main.cc").write_text("#include <iostream>\nint main() { std::cout << 42 << std::endl; }\n")
    ok(run("gcc", tool("g++"), "-o", "program", "main.cc"))
    assert ok(run("gcc", "./program")) == "42\n"
