"""Host processes: where sandboxes are made and measured, one package and one size of process each."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

__all__ = ["FailedError", "Host"]

_SCRIPT = Path(__file__).with_name("host_process.py")


class FailedError(Exception):
    """What was to be measured has failed."""


class Host:
    """A process that measures what it is told to; see host_process.py for what that can be.

    Args:
        python: the interpreter; what its ``sandlock`` is decides about the package that is measured.
        resident: bytes of memory that the process is made to have.
        descriptors: files that it is made to have open.
    """

    def __init__(self, python: str, resident: int = 0, descriptors: int = 0) -> None:
        self.python = python
        command = [python, "-I", str(_SCRIPT), str(resident), str(descriptors)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def __enter__(self) -> Host:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()  # it ends at the end of its input
        self._process.stdout.close()
        self._process.wait()

    def ask(self, measurement: str, **arguments: Any) -> Any:
        """Have a function of host_process.py called, and return what it returns."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([measurement, arguments]), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        if not line:
            raise FailedError(f"the host ended in {measurement}, exit code {self._process.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise FailedError(f"{measurement}: {answer['error']}")
        return answer["value"]
