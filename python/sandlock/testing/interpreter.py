"""The other side: a sandboxed interpreter that runs tests, one after the other."""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandlock import Result, Sandbox, StdioMode
from sandlock.audit import Audit

__all__ = ["Died", "Interpreter"]

# Seconds for the interpreter to start and to collect.
_START = 120.0

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
        self._buffer = b""
        self._process = box.popen(
            [sys.executable, "-c", _CHILD],
            stdin=StdioMode.PIPED,
            stdout=StdioMode.PIPED,
            handlers=self.audit.handlers() if _is_recorded(config) else (),
        )
        self._send(path=sys.path, arguments=_arguments(config, files, basetemp), options=_options(config, basetemp))
        for message in self._messages(_START):
            if "error" in message:
                self.kill()
                raise Died(str(message["error"]))
            if "ready" in message:
                break

    def run(self, nodeid: str, following: str | None, timeout: float | None) -> Iterator[dict[str, Any]]:
        """Run a test, and yield its reports as they come, as pytest serializes them.

        Args:
            following: the test that will come next, for what both need.
            timeout: seconds after which the interpreter is killed.

        Raises:
            Died: it did not report the end of the test.
        """
        self._send(run=nodeid, next=following)
        for message in self._messages(timeout):
            if "error" in message:
                raise Died(str(message["error"]))
            if "done" in message:
                return
            if isinstance(report := message.get("report"), dict):
                yield report

    def _send(self, **message: object) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # who reads learns why
            self._process.stdin.write(json.dumps(message).encode() + b"\n")
            self._process.stdin.flush()

    def _messages(self, timeout: float | None) -> Iterator[dict[str, Any]]:
        stdout = self._process.stdout
        assert stdout is not None
        end = None if timeout is None else time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            while True:
                line, newline, rest = self._buffer.partition(b"\n")
                if newline:
                    self._buffer = rest
                    yield self._decoded(line)
                    continue
                if not selector.select(None if end is None else max(0.0, end - time.monotonic())):
                    self.kill()
                    raise Died(f"no end after {timeout} s; the sandboxed interpreter was killed")
                data = os.read(stdout.fileno(), 1 << 16)
                if not data:
                    raise Died(f"the sandboxed interpreter {_ending(self.close())}")
                self._buffer += data

    def _decoded(self, line: bytes) -> dict[str, Any]:
        try:
            message = json.loads(line)
        except ValueError:
            message = None
        if not isinstance(message, dict):
            self.kill()
            raise Died("the sandboxed interpreter wrote something else than reports")
        return message

    def close(self) -> Result:
        """Let it end, and return how it fared."""
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()
        try:
            return self._process.wait(_START)
        except subprocess.TimeoutExpired:
            return self.kill()

    def kill(self) -> Result:
        self._process.kill()
        return self._process.wait()


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
    for name in (*_OWN_OPTIONS, "usepdb", "numprocesses", "dist", "tx", "maxprocesses", "looponfail", "file_or_dir"):
        options.pop(name, None)
    return {**options, "basetemp": basetemp, "usepdb": False}
