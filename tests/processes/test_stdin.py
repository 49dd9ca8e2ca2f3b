"""stdin as bytes, a file or a stream, in every way of running."""

from __future__ import annotations

import asyncio
import io
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

import pytest

from sandlock import Sandbox, StdioMode
from sandlock._extension import core
from sandlock._feeder import Feeder
from tests.support.processes import PATIENCE, open_fds
from tests.support.sandboxes import tool_sandbox

DATA = bytes(range(256)) * 1000


def by_run(stdin: Any) -> bytes:
    return tool_sandbox().run(["cat"], stdin=stdin, check=True).stdout


def by_arun(stdin: Any) -> bytes:
    return asyncio.run(tool_sandbox().arun(["cat"], stdin=stdin, check=True)).stdout


def by_spawn(stdin: Any) -> bytes:
    box = tool_sandbox()
    box.spawn(["cat"], stdin=stdin)
    return box.wait().stdout


def by_popen(stdin: Any) -> bytes:
    with tool_sandbox().popen(["cat"], stdin, StdioMode.PIPED) as process:
        assert process.stdin is None
        out, _ = process.communicate(timeout=PATIENCE)
    assert out is not None
    return out


class Pieces:
    """Reads some bytes at a time, and has nothing else."""

    def __init__(self, data: bytes) -> None:
        self._data = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        return self._data.read(min(size, 1000))


@pytest.mark.parametrize("way", [by_run, by_arun, by_spawn, by_popen], ids=lambda way: way.__name__)
@pytest.mark.parametrize("kind", ["bytes", "bytearray", "memoryview", "file", "descriptor", "BytesIO", "pieces"])
def test_kinds(tmp_path: Path, way: Callable[[Any], bytes], kind: str) -> None:
    path = tmp_path / "data"
    path.write_bytes(DATA)
    with open(path, "rb") as file:
        stdin: Any = {
            "bytes": DATA,
            "bytearray": bytearray(DATA),
            "memoryview": memoryview(DATA),
            "file": file,
            "descriptor": file.fileno(),
            "BytesIO": io.BytesIO(DATA),
            "pieces": Pieces(DATA),
        }[kind]
        assert way(stdin) == DATA


def test_the_output_of_another_command() -> None:
    with tool_sandbox().popen(["echo", "hello"], stdout=StdioMode.PIPED) as first:
        assert tool_sandbox().run(["cat"], stdin=first.stdout).stdout == b"hello\n"


def test_null(box: Sandbox) -> None:
    assert box.run(["cat"], stdin=StdioMode.NULL).stdout == b""


def test_a_stream_that_is_not_read_to_its_end(box: Sandbox) -> None:
    endless = io.BufferedReader(io.FileIO("/dev/zero"))

    class Endless:
        def read(self, size: int, /) -> bytes:
            return endless.read(size)

    with endless:
        assert box.run(["head", "-c", "5"], stdin=Endless()).stdout == bytes(5)


class Blocking:
    """Reads when it is told to."""

    def __init__(self) -> None:
        self.on = threading.Event()

    def read(self, size: int, /) -> bytes:
        self.on.wait()
        return b""


@pytest.fixture
def blocking() -> Iterator[Blocking]:
    stream = Blocking()
    yield stream
    stream.on.set()


def test_a_stream_that_blocks_does_not_keep_the_run(box: Sandbox, blocking: Blocking) -> None:
    assert box.run(["echo", "hello"], stdin=blocking).stdout == b"hello\n"


def test_a_run_that_is_over_before_its_stream_is_read() -> None:
    run = core().core_New()
    core().core_Close(run)
    Feeder(run, Pieces(DATA)).join()


class Broken:
    def read(self, size: int, /) -> bytes:
        raise ZeroDivisionError


def test_a_stream_that_fails_ends_the_command(box: Sandbox) -> None:
    with pytest.raises(ZeroDivisionError):
        box.run(["sh", "-c", "cat; exec sleep 1000"], stdin=Broken())
    assert box.run(["true"]).success


def test_a_stream_of_text(box: Sandbox) -> None:
    with pytest.raises(TypeError, match=r"stdin: read\(\) of .*StringIO.* gave str"):
        box.run(["cat"], stdin=io.StringIO("text"))  # type: ignore[arg-type]


def test_outputs_of_run_may_be_files(box: Sandbox, tmp_path: Path) -> None:
    with open(tmp_path / "out", "wb") as out, open(tmp_path / "err", "wb") as err:
        result = box.run(["sh", "-c", "echo out; echo err >&2"], stdout=out, stderr=err.fileno())
    assert (result.success, result.stdout, result.stderr) == (True, b"", b"")
    assert (tmp_path / "out").read_bytes() == b"out\n"
    assert (tmp_path / "err").read_bytes() == b"err\n"


def test_nothing_is_left() -> None:
    before = open_fds(), {thread.name for thread in threading.enumerate()}
    for way in (by_run, by_spawn, by_popen):
        way(Pieces(DATA))
    assert (open_fds(), {thread.name for thread in threading.enumerate()}) == before


class NoDescriptor:
    def fileno(self) -> int:
        return -1


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[int]:
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    os.close(fd)


@pytest.mark.parametrize("name", ["stdin", "stdout", "stderr"])
@pytest.mark.parametrize(
    ("value", "error", "words"),
    [
        ("text", TypeError, "'text'"),
        (True, TypeError, "True"),
        (1.5, TypeError, "1.5"),
        (object(), TypeError, "open file"),
        (-4, ValueError, "-4 is no descriptor"),
        (987654, ValueError, "987654 is not open"),
        (1 << 70, ValueError, "is not open"),
        (NoDescriptor(), ValueError, "-1 is no descriptor"),
    ],
)
def test_wrong_values(box: Sandbox, name: str, value: Any, error: type[Exception], words: str) -> None:
    before = open_fds()
    for start in (box.run, box.popen):
        with pytest.raises(error, match=f"{name}.*{words}"):
            start(["true"], **{name: value})  # type: ignore[operator]
    assert open_fds() == before


def test_wrong_combinations(box: Sandbox, read_only: int) -> None:
    with pytest.raises(ValueError, match="input is what stdin reads"):
        box.run(["true"], stdin=b"", input=b"")
    with pytest.raises(ValueError, match="stdin: nobody holds"):
        box.run(["true"], stdin=StdioMode.PIPED)
    with pytest.raises(ValueError, match="stdout: STDOUT is for stderr only"):
        box.run(["true"], stdout=-2)
    with pytest.raises(ValueError, match=r"stdout: .* is not open for writing"):
        box.run(["true"], stdout=read_only)
    with pytest.raises(ValueError, match=r"stdout: .*BytesIO.* has no descriptor"):
        box.run(["true"], stdout=io.BytesIO())
    with open(os.devnull, "wb") as write_only, pytest.raises(ValueError, match=r"stdin: .* is not open for reading"):
        box.run(["true"], stdin=write_only)
