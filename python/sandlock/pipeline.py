"""Commands that run at the same time, each in a sandbox of its own, and read what others write."""

from __future__ import annotations

import functools
import io
import os
import queue
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from ._request import Command, mapping
from ._threads import TICK
from .inputs import VARIABLE
from .result import ExitReason, Result
from .stdio import Stdio, StdioMode, captured

if TYPE_CHECKING:
    from ._run import Run
    from .sandbox import Sandbox

__all__ = ["Gather", "GatherPipeline", "NamedStage", "Pipeline", "Stage"]


@dataclass(frozen=True)
class Stage:
    """A command and the sandbox that it is to run in, as :meth:`Sandbox.cmd` makes it; nothing has started."""

    sandbox: Sandbox
    args: Command

    def run(self, timeout: float | None = None) -> Result:
        """Run it alone; see :meth:`Sandbox.run`."""
        return self.sandbox.run(self.args, timeout)

    def as_(self, name: str) -> NamedStage:
        """Name it, as a source of a :class:`Gather`."""
        return NamedStage(self, name)

    def __or__(self, reader: Stage | Pipeline) -> Pipeline:
        if not isinstance(reader, (Stage, Pipeline)):
            return NotImplemented
        return Pipeline([self, *_stages_of(reader)])


@dataclass(frozen=True)
class Pipeline:
    """Stages of which each reads what the one before it writes, as in a shell."""

    stages: Sequence[Stage]

    def __post_init__(self) -> None:
        _check_stages(self.stages)
        if len(self.stages) < 2:
            raise ValueError(f"stages: a pipeline has at least 2, not {len(self.stages)}; run a single one by itself")

    def __or__(self, reader: Stage | Pipeline) -> Pipeline:
        if not isinstance(reader, (Stage, Pipeline)):
            return NotImplemented
        return Pipeline([*self.stages, *_stages_of(reader)])

    def run(self, timeout: float | None = None) -> Result:
        """Run all stages to their ends.

        The first one reads what a command of :meth:`Sandbox.run` would, and the stderr of all but the last is the
        host's. A stage whose reader has ended dies of SIGPIPE, unless it ignores that.

        Args:
            timeout: seconds after which all trees are killed; the result's reason is TIMEOUT then.

        Returns:
            The last stage's result. When one could not be executed, its result: the others are killed then.

        Raises:
            PolicyError: as for :meth:`Sandbox.run`, before any command has been executed.
            ConfinementError: the same.
        """
        with ExitStack() as ends:
            pipes = [_pipe(ends) for _ in self.stages[1:]]
            stdins = [None, *(reading.fileno() for reading, _ in pipes)]
            stdouts = [*(writing.fileno() for _, writing in pipes), None]
            streams = [_streams(stdin, stdout) for stdin, stdout in zip(stdins, stdouts)]
            return _run(self.stages, streams, timeout, ends)


@dataclass(frozen=True)
class NamedStage:
    """A source of a :class:`Gather`."""

    stage: Stage
    name: str

    def __post_init__(self) -> None:
        if not isinstance(self.name, str):
            raise TypeError(f"name must be a str, not {self.name!r}")
        if not self.name or any(character in self.name for character in ",:\0"):
            raise ValueError(f"name {self.name!r} must not be empty, nor hold ',', ':' or NUL")

    def __add__(self, other: NamedStage | Gather) -> Gather:
        if not isinstance(other, (NamedStage, Gather)):
            return NotImplemented
        return Gather([(self.name, self.stage), *_sources_of(other)])


@dataclass(frozen=True)
class Gather:
    """Named stages whose outputs one other stage is going to read."""

    sources: Sequence[tuple[str, Stage]]

    def __post_init__(self) -> None:
        names = [name for name, _ in self.sources]
        _check_stages([stage for _, stage in self.sources])
        for i, name in enumerate(names):
            if name in names[:i]:
                raise ValueError(f"name {name!r} is given to two sources")

    def __add__(self, other: NamedStage | Gather) -> Gather:
        if not isinstance(other, (NamedStage, Gather)):
            return NotImplemented
        return Gather([*self.sources, *_sources_of(other)])

    def __or__(self, consumer: Stage) -> GatherPipeline:
        if not isinstance(consumer, Stage):
            return NotImplemented
        return GatherPipeline(self.sources, consumer)


@dataclass(frozen=True)
class GatherPipeline:
    """Sources, and a consumer that reads each by its name in :data:`sandlock.inputs`; the last one is its stdin."""

    sources: Sequence[tuple[str, Stage]]
    consumer: Stage

    def __post_init__(self) -> None:
        if not self.sources:
            raise ValueError("sources: the list is empty; a stage that reads nothing can be run by itself")
        _check_stages([*(stage for _, stage in self.sources), self.consumer])

    def run(self, timeout: float | None = None) -> Result:
        """Run all to their ends and return the consumer's result; see :meth:`Pipeline.run`."""
        with ExitStack() as ends:
            pipes = [_pipe(ends) for _ in self.sources]
            streams = [_streams(None, writing.fileno()) for _, writing in pipes]
            *others, last = (reading.fileno() for reading, _ in pipes)
            streams.append(replace(_streams(last, None), files=tuple(others)))
            numbers = [*range(3, 3 + len(others)), 0]
            pairs = ",".join(f"{name}:{number}" for (name, _), number in zip(self.sources, numbers))
            box = self.consumer.sandbox
            mapping("env", box.env)  # refuses what is none
            consumer = Stage(replace(box, env={**box.env, VARIABLE: pairs}), self.consumer.args)
            return _run([*(stage for _, stage in self.sources), consumer], streams, timeout, ends)


def _stages_of(part: Stage | Pipeline) -> Sequence[Stage]:
    return part.stages if isinstance(part, Pipeline) else [part]


def _sources_of(part: NamedStage | Gather) -> Sequence[tuple[str, Stage]]:
    return part.sources if isinstance(part, Gather) else [(part.name, part.stage)]


def _check_stages(stages: Sequence[object]) -> None:
    for stage in stages:
        if not isinstance(stage, Stage):
            raise TypeError(f"a stage must be a Stage, as Sandbox.cmd gives it, not {stage!r}")


_opened = functools.partial(io.FileIO, mode="r+")  # whose loss closes the descriptor


def _pipe(ends: ExitStack) -> tuple[io.FileIO, io.FileIO]:
    reading, writing = map(_opened, os.pipe())
    return ends.enter_context(reading), ends.enter_context(writing)


def _streams(stdin: int | None, stdout: int | None) -> Stdio:
    return captured(stdin, stdout, None if stdout is None else StdioMode.INHERIT)


def _run(stages: Sequence[Stage], streams: Sequence[Stdio], timeout: float | None, ends: ExitStack) -> Result:
    """Run stages at the same time.

    Args:
        ends: closes the host's ends of the pipes.
    """
    runs: list[Run] = []
    ended: queue.SimpleQueue[int] = queue.SimpleQueue()
    try:
        for i, stage in enumerate(stages):
            # A copy, since a sandbox of the caller's may run one command only, but be that of many stages.
            run = replace(stage.sandbox)._start(stage.args, (), streams[i], timeout=timeout, waiting=True)
            runs.append(run)
            run.serve(functools.partial(ended.put, i))
        ends.close()
        if all(run.pid for run in runs):
            for run in runs:
                run.release()
        return _collect(runs, ended)
    except KeyboardInterrupt:
        for run in runs:
            run.interrupt()
        raise
    finally:
        for run in runs:
            run.close()


def _collect(runs: Sequence[Run], ended: queue.SimpleQueue[int]) -> Result:
    """Wait for all; as soon as one has failed to be executed, or the time is over, kill the others."""
    failed: Result | None = None
    for _ in runs:
        result = runs[_first(ended)].finish()
        if failed is None and (result.error is not None or result.reason == ExitReason.TIMEOUT):
            failed = result
            for run in runs:
                run.kill()
    last = runs[-1].finish()
    if failed is None or failed is last:
        return last
    return replace(failed, stdout=last.stdout, stderr=failed.stderr + last.stderr)


def _first(ended: queue.SimpleQueue[int]) -> int:
    while True:
        with suppress(queue.Empty):
            return ended.get(timeout=TICK)
