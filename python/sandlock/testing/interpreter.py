"""The other side: a sandboxed interpreter that runs tests, one after the other."""

from __future__ import annotations

import codecs
import contextlib
import json
import os
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from sandlock import Result, Sandbox, StdioMode
from sandlock.audit import Audit

from .reports import shown

__all__ = ["Died", "Interpreter"]

# Seconds for the interpreter to start and to collect.
_START = 120.0

# Bytes that the interpreter may report of one test.
_MOST = 64 << 20

# Not as a module of sandlock: pytest wants to be the first to import its plugins, and what they belong to.
_CHILD = f"import runpy; runpy.run_path({str(Path(__file__).with_name('child.py'))!r}, run_name='__main__')"

_OWN_OPTIONS = ("sandlock", "sandlock_record", "sandlock_check")


class Died(Exception):  # noqa: N818
    """The interpreter is gone, or was killed because it took too long; the text says why."""


class Interpreter:
    """A pytest session in a sandbox.

    Args:
        box: where it runs.
        config: of the session whose tests it runs: the options are taken over.
        basetemp: the folder for temporary files, which the sandbox may write to.
    """

    def __init__(self, box: Sandbox, config: pytest.Config, files: list[str], basetemp: str) -> None:
        self.audit = Audit()
        self._process = box.popen(
            [sys.executable, "-c", _CHILD],
            stdin=StdioMode.PIPED,
            stdout=StdioMode.PIPED,
            stderr=StdioMode.PIPED,  # the host's may be a terminal, which can be read and set as well
            handlers=self.audit.handlers() if _is_recorded(config) else (),
        )
        streams = (self._process.stdin, self._process.stdout, self._process.stderr)
        self._stdin, self._stdout, self._stderr = (stream.fileno() for stream in streams if stream is not None)
        os.set_blocking(self._stdin, False)
        self._lines: deque[bytes | bytearray] = deque()
        self._part = bytearray()  # of a line
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._polled = select.poll()
        self._polled.register(self._stdout, select.POLLIN)
        self._polled.register(self._stderr, select.POLLIN)
        try:
            settings = {"arguments": _arguments(config, files, basetemp), "options": _options(config, basetemp)}
            for message in self._asked({"path": sys.path, **settings}, _START):
                if "ready" in message:
                    break
        except BaseException:
            self.kill()
            raise

    def run(self, nodeid: str, following: str | None, timeout: float | None) -> Iterator[dict[str, Any]]:
        """Run a test, and yield its reports as they come, as pytest serializes them.

        Args:
            following: the test that will come next, for what both need.
            timeout: seconds after which the interpreter is killed.

        Raises:
            Died: it did not report the end of the test.
        """
        for message in self._asked({"run": nodeid, "next": following}, timeout):
            if "done" in message:
                return
            if isinstance(report := message.get("report"), dict):
                yield report

    def _asked(self, request: Mapping[str, object], timeout: float | None) -> Iterator[dict[str, Any]]:
        """Send a request, and yield the messages that come.

        Raises:
            Died: there will be no more, or they are wrong.
        """
        end = None if timeout is None else time.monotonic() + timeout
        left = _MOST
        try:
            self._send(json.dumps(request).encode() + b"\n", end)
            while True:
                while self._lines:
                    yield _decoded(self._lines.popleft())
                data = self._read(end)
                left -= len(data)
                if left < 0:
                    raise Died(f"the sandboxed interpreter reported more than {_MOST >> 20} MiB of one test")
                if not data:
                    raise Died(f"the sandboxed interpreter {_ending(self.close())}")
                self._part += data
                if b"\n" in data:
                    *lines, self._part = self._part.split(b"\n")
                    self._lines.extend(lines)
        except TimeoutError:
            raise Died(f"no end after {timeout} s; the sandboxed interpreter was killed") from None

    def _send(self, data: bytes, end: float | None) -> None:
        writable = select.poll()
        writable.register(self._stdin, select.POLLOUT)
        rest = memoryview(data)
        with contextlib.suppress(BrokenPipeError):  # who reads learns why
            while rest:
                _ready(writable, end)
                rest = rest[os.write(self._stdin, rest) :]

    def _read(self, end: float | None) -> bytes:
        """Return what comes on stdout, empty at its end, and hand on until then what comes on stderr."""
        while True:
            ready = _ready(self._polled, end)
            if self._stderr in ready:
                text = os.read(self._stderr, 1 << 16)
                if not text:
                    self._polled.unregister(self._stderr)
                sys.stderr.write(shown(self._decoder.decode(text, not text)))
            elif ready:  # what was written to stderr before comes first
                return os.read(self._stdout, 1 << 16)

    def close(self) -> Result:
        """Let it end, and return how it fared."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            end = time.monotonic() + _START
            while self._read(end):
                pass
            self._process.wait(_START)
        except (TimeoutError, subprocess.TimeoutExpired):
            self._process.kill()
        with self._process:
            return self._process.wait()

    def kill(self) -> Result:
        with self._process:
            self._process.kill()
            return self._process.wait()


def _ready(polled: select.poll, end: float | None) -> set[int]:
    """Wait for descriptors.

    Raises:
        TimeoutError: the time is over.
    """
    left = None if end is None else 1000 * (end - time.monotonic())
    ready = polled.poll(left) if left is None or left > 0 else []
    if not ready:
        raise TimeoutError
    return {fd for fd, _ in ready}


def _decoded(line: bytes | bytearray) -> dict[str, Any]:
    """Return a message.

    Raises:
        Died: it says that there will be no more, or is none.
    """
    with contextlib.suppress(ValueError, RecursionError):
        message = json.loads(line)
        if isinstance(message, dict):
            if isinstance(error := message.get("error"), str):
                raise Died(shown(error))
            return message
    raise Died("the sandboxed interpreter wrote something else than reports")


def _ending(result: Result) -> str:
    if result.error is not None:
        return f"could not be started: {result.error}"
    if result.signal > 0:
        return f"died of signal {result.signal}"
    return f"has exited with code {result.exit_code}"


def _is_recorded(config: pytest.Config) -> bool:
    return bool(config.option.sandlock_record or config.option.sandlock_check)


def _arguments(config: pytest.Config, files: list[str], basetemp: str) -> list[str]:
    """Return the arguments with which the same tests are collected."""
    plugins = [word for plugin in config.option.plugins for word in ("-p", plugin)]
    inifile = ["-c", str(config.inipath)] if config.inipath is not None else []
    return [
        *(f"--rootdir={config.rootpath}", f"--basetemp={basetemp}", *inifile, *plugins),
        *("-p", "no:xdist", "-p", "no:cacheprovider"),
        *files,
    ]


def _options(config: pytest.Config, basetemp: str) -> dict[str, Any]:
    """Return the options that can be told as JSON, without those that would run the tests in yet another place."""
    options: dict[str, Any] = {"basetemp": basetemp}
    for name, value in vars(config.option).items():
        with contextlib.suppress(TypeError, ValueError):
            if json.loads(json.dumps(value)) == value:
                options[name] = value
    for name in (
        *_OWN_OPTIONS,
        "usepdb",
        "numprocesses",
        "dist",
        "tx",
        "maxprocesses",
        "looponfail",
        "file_or_dir",
        "xmlpath",
    ):
        options.pop(name, None)
    return {**options, "basetemp": basetemp, "usepdb": False}
