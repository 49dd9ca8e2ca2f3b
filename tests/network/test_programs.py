"""Ordinary programs, which resolve names, wait for sockets and transfer data in their own ways."""

from __future__ import annotations

import http.server
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

SIZE = 500_000


class Answers(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(SIZE))
        self.end_headers()
        self.wfile.write(bytes(SIZE))

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever).start()
        yield server.server_address[1]
        server.shutdown()


ASYNCIO = """
import asyncio, sys
async def fetch():
    reader, writer = await asyncio.open_connection("localhost", int(sys.argv[1]))
    writer.write(b"GET / HTTP/1.0\\r\\n\\r\\n")
    data = await reader.read()
    writer.close()
    return len(data.split(b"\\r\\n\\r\\n")[1])
async def main():
    print(*{await each for each in asyncio.as_completed([fetch() for _ in range(30)])})
asyncio.run(main())
"""

URLLIB = """
import sys, urllib.request
print(len(urllib.request.urlopen(f"http://localhost:{sys.argv[1]}/", timeout=20).read()))
"""

NODE = """
fetch(`http://localhost:${process.argv[1]}/`).then(answer => answer.text()).then(text => console.log(text.length))
"""


@pytest.mark.parametrize(
    ("program", "arguments"),
    [
        (sys.executable, ["-Ic", ASYNCIO, "@port"]),
        (sys.executable, ["-Ic", URLLIB, "@port"]),
        ("curl", ["-sS", "-o", "/dev/null", "-w", "%{size_download}", "http://localhost:@port/"]),
        ("wget", ["-q", "-O", "-", "http://localhost:@port/"]),
        ("node", ["-e", NODE, "@port"]),
    ],
    ids=["asyncio", "urllib", "curl", "wget", "node"],
)
def test_a_download(tmp_path: Path, port: int, program: str, arguments: list[str]) -> None:
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not on PATH")
    extra = [path for path in ("/proc", "/sys", "/opt", "/dev/urandom") if Path(path).exists()]
    box = tool_sandbox([*PYTHON_PATHS, *extra], [tmp_path], cwd=tmp_path, net_allow=[f"localhost:{port}"])
    command = [program, *(argument.replace("@port", str(port)) for argument in arguments)]
    result = box.run(command, timeout=60)
    assert result.success, result.stderr
    assert SIZE in (len(result.stdout), int(result.stdout.strip(b"\0") or 0))
