"""Ordinary users of Unix sockets, in a sandbox that grants their folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox
from tests.support.unix_sockets import MakeUnixServer, unix_rule

MANAGER = """
from multiprocessing import Manager, Process
def fill(shared):
    shared["result"] = [2, 4]
if __name__ == "__main__":
    with Manager() as manager:
        shared = manager.dict()
        other = Process(target=fill, args=(shared,))
        other.start()
        other.join()
        print(shared["result"])
"""

LISTENER = """
import threading
from multiprocessing.connection import Client, Listener
with Listener(family="AF_UNIX") as listener:
    def serve():
        with listener.accept() as connection:
            connection.send(connection.recv() * 2)
    threading.Thread(target=serve).start()
    with Client(listener.address) as client:
        client.send([1, 2])
        print(client.recv())
"""

ASYNCIO = """
import asyncio
async def echo(reader, writer):
    writer.write(await reader.readline())
    await writer.drain()
    writer.close()
async def ask(number):
    reader, writer = await asyncio.open_unix_connection("echo.sock")
    writer.write(b"%d\\n" % number)
    answer = int(await reader.read())
    writer.close()
    return answer
async def main():
    async with await asyncio.start_unix_server(echo, "echo.sock"):
        print(sum(await asyncio.gather(*(ask(number) for number in range(20)))))
asyncio.run(main())
"""

SYSLOG = """
import logging.handlers
handler = logging.handlers.SysLogHandler("log")
logging.getLogger().addHandler(handler)
logging.warning("hello")
"""


@pytest.fixture
def short_path() -> Iterator[Path]:
    """Give a folder whose path leaves room for what multiprocessing adds: a Unix socket's path has 107 bytes."""
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


@pytest.mark.parametrize(
    ("script", "expected"),
    [(MANAGER, "[2, 4]\n"), (LISTENER, "[1, 2, 1, 2]\n"), (ASYNCIO, "190\n")],
    ids=["Manager", "Listener", "asyncio"],
)
def test_within_the_sandbox(short_path: Path, script: str, expected: str) -> None:
    (short_path / "script.py").write_text(script)
    box = tool_sandbox(
        [*PYTHON_PATHS, "/dev/urandom"],
        [short_path],
        cwd=short_path,
        env={"TMPDIR": short_path},
        net_allow=[unix_rule(short_path)],
    )
    result = box.run([sys.executable, "script.py"], timeout=60)
    assert (result.stdout.decode(), result.stderr) == (expected, b"")


def test_syslog(tmp_path: Path, make_unix_server: MakeUnixServer) -> None:
    log = make_unix_server(tmp_path / "log", 2)
    log.settimeout(30)
    box = tool_sandbox(PYTHON_PATHS, cwd=tmp_path, net_allow=[unix_rule(tmp_path / "log")])
    result = box.run([sys.executable, "-c", SYSLOG], timeout=60)
    assert result.success, result.stderr
    assert b"hello" in log.recv(1000)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not on PATH")
def test_curl(tmp_path: Path) -> None:
    """To a server of HTTP outside, as Docker's and Podman's are."""
    script = """if True:
        import http.server, socketserver, sys
        class Answers(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.wfile.write(b"HTTP/1.0 200 OK\\r\\n\\r\\nhello")
            def log_message(self, *_): pass
            def address_string(self): return ""
        with socketserver.UnixStreamServer(sys.argv[1], Answers) as server:
            print("ready", flush=True)
            server.handle_request()
    """
    path = tmp_path / "http"
    with subprocess.Popen([sys.executable, "-c", script, path], stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        try:
            box = tool_sandbox(net_allow=[unix_rule(path)])
            result = box.run(["curl", "-sS", "--unix-socket", path, "http://localhost/"], timeout=60)
            assert (result.stdout, result.stderr) == (b"hello", b"")
        finally:
            server.kill()
