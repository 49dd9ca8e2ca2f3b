"""``sandlock audit``: run a command and say what it reaches for."""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from .._terminal import interact
from ..audit import OPENS, Audit, Call
from ..sandbox import Sandbox
from .learned import SOFTWARE, is_within
from .live import LiveView
from .parsers import add_parser as add
from .policy import add_command, add_flags, command_of, is_empty, sandbox_of, timeout_of
from .run import exit_status
from .screen import print_list, print_title
from .slow import PERIOD, SlowCall, SlowCalls

if TYPE_CHECKING:
    from .._run import Run
    from ..stdio import Stdio
    from .parsers import Subparsers

__all__ = ["Observation", "add_parser", "everything"]

_EXAMPLES = """  sandlock audit -- git status
  sandlock audit --json --profile python -- python3 script.py > calls.json

Without a policy every file may be read and changed, and every peer be reached: the command is observed only. What no
sandbox lets through, such as mounts and setuid programs, does not work there either. The status is as that of run.
"""

_MOST = 15
"""Entries that a list of the summary has."""


def add_parser(commands: Subparsers) -> None:
    parser = add(commands, "audit", "run a command and say what it reaches for", _EXAMPLES, _run)
    parser.add_argument(
        "--json",
        action="store_true",
        help="lines of JSON on stdout in place of the summary; the command's own stdout goes to stderr",
    )
    add_flags(parser)
    add_command(parser)


def everything() -> Sandbox:
    """Return a sandbox in which next to everything may be done."""
    return Sandbox(
        fs_readable=["/"],
        fs_writable=["/"],
        net_allow=["*:*", "icmp://*", "unix:///"],
        net_allow_bind=["*"],
        extra_allow_syscalls=["sysv_ipc"],
    )


class Observation:
    """A command that runs with the host's streams, and what it does."""

    def __init__(self, box: Sandbox) -> None:
        self.record = Audit()
        self._began = time.monotonic()
        self._box = box
        self._slow: SlowCalls | None = None

    def run(self, command: Sequence[str], timeout: float | None, *, stdout_is_stderr: bool = False) -> int:
        """Run the command to its end, and return the exit status. A KeyboardInterrupt ends it, and comes through."""

        def start(streams: Stdio) -> Run:
            if stdout_is_stderr:
                streams = dataclasses.replace(streams, stdout=streams.stderr)
            run = self._box._start(command, self.record.handlers(), streams, timeout=timeout)
            self._slow = SlowCalls(run.pid)
            return run

        try:
            self.record.result = interact(start, LiveView(self.record))
        finally:
            if self._slow is not None:
                self._slow.stop()
        return exit_status(self.record.result)

    @property
    def executed(self) -> bool:
        """Whether the command has begun. An interruption may come before its start has returned."""
        result = self.record.result
        return bool(self.record.calls) if result is None else result.error is None

    @property
    def slow(self) -> list[SlowCall]:
        """The slow calls, the times counted from the beginning."""
        seen = self._slow.seen if self._slow is not None else []
        return [dataclasses.replace(call, at=call.at - self._began) for call in seen]


def _run(options: argparse.Namespace) -> int:
    observation = Observation(everything() if is_empty(options) else sandbox_of(options))
    try:
        return observation.run(command_of(options), timeout_of(options), stdout_is_stderr=options.json)
    finally:
        if observation.executed:
            (_print_json if options.json else _summarize)(observation)


def _print_json(observation: Observation) -> None:
    record = observation.record
    events: list[dict[str, Any]] = [{"event": "call", **dataclasses.asdict(call)} for call in record.calls]
    events += [{"event": "slow", **dataclasses.asdict(call)} for call in observation.slow]
    for event in sorted(events, key=lambda event: float(event["at"])):
        print(json.dumps(event))
    status = None if record.result is None else exit_status(record.result)
    end = {"at": record.seconds, "status": status, "calls": len(record.calls), "more_calls": record.more_calls}
    print(json.dumps({"event": "end", **end}))


def _summarize(observation: Observation) -> None:
    record, calls = observation.record, observation.record.calls
    ending = "was interrupted" if record.result is None else record.result._ending()
    threads = len({call.pid for call in calls})
    plural = "" if threads == 1 else "s"
    more = f", and {record.more_calls} calls that were not kept" if record.more_calls else ""
    print_title(f"the command {ending}; {record.seconds:.2f} s, {len(calls)} calls of {threads} thread{plural}{more}")
    opened = [call for call in calls if call.syscall in OPENS and not call.writes]
    _count("changed", (path for call in calls if call.writes for path in call.paths), "yellow")
    _count("opened", _paths(opened, found=True), "green")
    _count("not there", _paths(opened, found=False), "dim")
    _count("programs", (shlex.join(call.argv) for call in calls if call.argv and all(call.found)), "cyan")
    _count("connected to", (f"{call.protocol or '?'} {call.peer}" for call in calls if call.peer), "magenta")
    _count("bound", (f"{call.protocol or '?'} {call.bound}" for call in calls if call.bound), "magenta")
    _count("system calls", (call.syscall for call in calls), "")
    _summarize_slow(observation.slow)


def _summarize_slow(calls: Sequence[SlowCall]) -> None:
    longest: dict[tuple[str, str], list[float]] = {}
    for call in calls:
        longest.setdefault((call.syscall, call.program), []).append(call.seconds)
    slowest = sorted(longest.items(), key=lambda item: -max(item[1]))[:_MOST]
    rows = [
        (f"{max(times):.2f} s", syscall, program, f"{len(times)} in all: {sum(times):.2f} s" if len(times) > 1 else "")
        for (syscall, program), times in slowest
    ]
    title = f"slowest calls (time asleep in one call, looked at every {PERIOD * 1000:.0f} ms)"
    print_list(title, rows, ("red", "", "cyan", ""))


def _paths(calls: Iterable[Call], found: bool) -> Iterable[str]:
    return (path for call in calls for path, there in zip(call.paths, call.found) if there == found)


def _count(title: str, names: Iterable[str], style: str) -> None:
    """List names, with how often they came; of files of the system's software only how many there are."""
    entries = Counter(names)
    listed = [(name, count) for name, count in entries.most_common() if not is_within(name, SOFTWARE)]
    rows = [(f"{count:6}", name) for name, count in listed[:_MOST]]
    if len(listed) > _MOST:
        rows.append((f"{len(listed) - _MOST:6}", "more; --json has all"))
    if len(entries) > len(listed):
        rows.append((f"{len(entries) - len(listed):6}", "files of the system's software; --json has all"))
    print_list(f"{title} ({len(entries)})", rows, ("", style))
