"""What Go tells of a run that is over."""

from __future__ import annotations

import json
from collections.abc import Mapping

from ._chain import Chain
from ._decision import Failures
from ._extension import core
from ._held import HeldCalls
from .protection import Protection
from .result import ExitReason, HandlerFailure, HandlerFailures, Result

__all__ = ["result_of"]


def result_of(
    run: int, chains: Mapping[int, Chain], failures: Failures, held: HeldCalls, degraded: list[Protection]
) -> Result:
    """Return the result of a run, given by its handle in Go; what took too long is added to the failures."""
    outcome = json.loads(core().core_Outcome(run))
    if chains:
        _note_expired(run, chains, failures)
    return Result(
        success=outcome["reason"] == ExitReason.EXITED and outcome["exit_code"] == 0,
        exit_code=outcome["exit_code"],
        stdout=_output(run, 1) if outcome["stdout"] else b"",
        stderr=_output(run, 2) if outcome["stderr"] else b"",
        error=outcome["error"] or None,
        reason=ExitReason(outcome["reason"]),
        signal=outcome["signal"] or -1,
        handler_errors=HandlerFailures(failures),
        more_handler_errors=failures.more,
        held=held.left(),
        limits=outcome.get("limits", {}),
        exceeded=outcome.get("exceeded"),
        degraded=degraded,
    )


def _note_expired(run: int, chains: Mapping[int, Chain], failures: Failures) -> None:
    late = json.loads(core().core_Expired(run))
    failures.more += late["more"]
    for _, syscall, pid, stage in late["first"]:
        link = chains[syscall].links[stage]
        error = TimeoutError(f"no decision within the time limit of {link.timeout} s")
        failures.add(HandlerFailure(link.handler, syscall, pid, error, chains[syscall].constants[stage]))


def _output(run: int, stream: int) -> bytes:
    extension = core()
    data = extension.core_Output(run, stream)
    extension.IncRef(data)
    try:
        return bytes(extension.Slice_byte_to_bytes(data))
    finally:
        extension.DecRef(data)
