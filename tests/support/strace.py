"""strace at work on another process: it counts system calls, and makes them fail."""

from __future__ import annotations

import re
import subprocess
from collections import Counter, defaultdict
from pathlib import Path
from types import TracebackType

from tests.support.processes import PATIENCE

_CALL = re.compile(r"(\d+) +(\w+)\(")
_MADE = re.compile(r"(\d+) +(?:<\.\.\. )?(?:clone3?|v?fork)\b.* = (\d+)$")


class Tracer:
    """strace, attached to a process and to all that it makes.

    Args:
        program: the path of strace.
        fault: an argument of its option inject, such as ``openat:error=EMFILE:when=2``; each thread counts for itself.
    """

    def __init__(self, program: str, pid: int, log: Path, fault: str | None = None) -> None:
        self._log = log
        self._pid = pid
        options = ["-e", f"inject={fault}"] if fault else []
        command = [program, "-f", "-e", "signal=none", "-o", str(log), *options, "-p", str(pid)]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE)
        assert self._process.stderr is not None
        said = self._process.stderr.readline()  # once it is attached
        assert b"attached" in said, said

    def calls(self) -> dict[str, int]:
        """Return how often some thread has made each system call; those of executed programs do not count."""
        counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
        others: set[str] = set()
        for line in self._log.read_text(errors="replace").splitlines():
            call, made = _CALL.match(line), _MADE.match(line)
            if made and made[1] in others:
                others.add(made[2])
            if call and call[1] not in others:
                counts[call[2]][call[1]] += 1
                if call[2] == "execve":
                    others.add(call[1])
        return {name: max(threads.values()) for name, threads in counts.items()}

    def __enter__(self) -> Tracer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(PATIENCE / 20)
        except subprocess.TimeoutExpired:  # it waits for a process that died while it let go of it
            self._process.kill()
            self._process.wait()
        assert self._process.stderr is not None
        self._process.stderr.close()
