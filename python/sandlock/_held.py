"""The calls that handlers of a run hold, and their answers."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping

from ._chain import Chain
from ._decision import Failures, discard, tell
from ._extension import core
from .actions import HOLD, NotifAction
from .exceptions import NotifError, OverError, from_core
from .handler import HandlerCtx
from .result import HeldCall

__all__ = ["HeldCalls", "id_of"]

# How many contexts are kept before those of calls that are over are dropped.
_LEAST_SWEEP = 256


class HeldCalls:
    """The contexts of held calls, by notification id. Usable from any thread.

    Args:
        run: the handle of the run in Go, which knows which of them still wait.
        chains: whose observers learn the answers.
        failures: where to keep what goes wrong in them.
    """

    def __init__(self, run: int, chains: Mapping[int, Chain], failures: Failures) -> None:
        self._run = run
        self._chains = chains
        self._failures = failures
        self._lock = threading.Lock()
        self._calls: dict[int, HandlerCtx] = {}
        self._sweep_at = _LEAST_SWEEP

    def add(self, ctx: HandlerCtx) -> None:
        with self._lock:
            if len(self._calls) >= self._sweep_at:  # a child can have its tasks killed while they are held
                waiting = self._waiting()
                self._calls = {id: kept for id, kept in self._calls.items() if id in waiting}
                self._sweep_at = max(_LEAST_SWEEP, 2 * len(self._calls))
            self._calls[ctx.id] = ctx

    def answer(self, call: HandlerCtx | int, action: NotifAction) -> bool:
        """Answer a held call; False when it is over, or was answered before. The descriptor is closed in any case."""
        id = id_of(call, action)
        ctx = self._calls.get(id)
        if ctx is None:
            discard(action)
            return False
        source = action._source
        value = action._value if source is None else source.take()
        try:
            code = core().core_Complete(self._run, id, action._kind, action._operand, value)
        except RuntimeError as error:
            fault = from_core(error)
            if isinstance(fault, OverError):
                return False
            self._forget(id)  # the kernel's own error has answered it
            raise NotifError(str(fault)) from None
        else:
            if code >= -1 and action._kind != HOLD:
                self._forget(id)
                tell(self._chains[ctx.syscall_nr], ctx, action, self._failures)
        finally:
            if source is not None:
                source.close()
        if code >= 0 and action._on_success is not None:
            action._on_success(code)
        return bool(code >= -1)

    def _forget(self, id: int) -> None:
        with self._lock:
            self._calls.pop(id, None)

    def left(self) -> list[HeldCall]:
        """Return what nobody has answered."""
        with self._lock:
            return [HeldCall(ctx.id, ctx.pid, ctx.syscall_nr, ctx.args) for ctx in self._calls.values()]

    def waiting(self) -> list[HandlerCtx]:
        """Return those that still wait for an answer."""
        waiting = self._waiting()
        with self._lock:
            return [ctx for id, ctx in self._calls.items() if id in waiting]

    def _waiting(self) -> set[int]:
        try:
            return set(json.loads(core().core_Held(self._run)))
        except RuntimeError as error:
            fault = from_core(error)
            if isinstance(fault, OverError):
                return set()
            raise fault from None


def id_of(call: HandlerCtx | int, action: NotifAction) -> int:
    """Return the id of a call that is to be answered, once both are known to be what they should."""
    if not isinstance(action, NotifAction):
        raise TypeError(f"action must be a NotifAction, not {action!r}")
    if isinstance(call, bool) or not isinstance(call, (int, HandlerCtx)):
        discard(action)
        raise TypeError(f"call must be a HandlerCtx or its id, not {call!r}")
    return call if isinstance(call, int) else call.id
