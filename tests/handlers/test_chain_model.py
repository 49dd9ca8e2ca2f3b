"""Chains made at random answer as a model of the contract says: who is asked, what the child sees, what is recorded."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import signal
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Union

import pytest

from sandlock import ExceptionPolicy, ExitReason, Handler, HandlerCtx, NotifAction, Result
from tests.support.handlers import CONTINUE
from tests.support.processes import open_fds
from tests.support.sandboxes import tool_sandbox
from tests.support.steps import number

KILL = NotifAction.kill(signal.SIGKILL)
POLICIES = {
    ExceptionPolicy.KILL: KILL,
    ExceptionPolicy.DENY_EPERM: NotifAction.errno(errno.EPERM),
    ExceptionPolicy.CONTINUE: CONTINUE,
    ExceptionPolicy.DENY_EIO: NotifAction.errno(errno.EIO),
}

Answer = Union[NotifAction, ExceptionPolicy]
Rule = Union[Answer, Mapping[type, Answer], None]

ONE, TWO = 2**40, 2**41  # what no getppid(2) returns

ANSWERS: list[Answer] = [*ExceptionPolicy, NotifAction.errno(errno.ENODEV), NotifAction.returns(ONE), CONTINUE]
EXCEPTIONS: list[type[Exception]] = [LookupError, KeyError, OSError, FileNotFoundError, RecursionError]
KEYS: list[type] = [*EXCEPTIONS, Exception, TypeError, TimeoutError]


@dataclass
class Plan:
    """What one handler is and does."""

    is_async: bool
    observes: bool
    rule: Rule
    does: str
    """continue, decide, raise, nonsense, late, or descriptor."""
    value: Any = None
    registered: Rule = field(default=None)
    """The rule of the registration."""


@dataclass
class Expected:
    """What is expected of a call."""

    asked: list[int] = field(default_factory=list)
    final: NotifAction | None = CONTINUE
    """None for a descriptor."""
    failures: list[tuple[int, type, NotifAction]] = field(default_factory=list)


class Planned(Handler):
    def __init__(self, index: int, plan: Plan, asked: list[int], told: list[tuple[int, NotifAction]]) -> None:
        self._index = index
        self._plan = plan
        self._asked = asked
        self._told = told
        self.observe = plan.observes
        if plan.rule is not None:
            self.on_exception = plan.rule
        if plan.does == "late":
            self.handler_timeout = 0.02

    def _answer(self) -> Any:
        plan = self._plan
        if plan.does == "raise":
            raise plan.value("on purpose")
        if plan.does == "descriptor":
            return NotifAction.inject_fd_send(os.open("/dev/null", os.O_RDONLY))
        return plan.value if plan.does in ("decide", "nonsense") else CONTINUE

    def handle(self, ctx: HandlerCtx) -> Any:
        self._asked.append(self._index)
        while self._plan.does == "late" and ctx.read(ctx.instruction_pointer, 1) is not None:
            threading.Event().wait(0.001)  # the end of its time is nothing that it is told
        return self._answer()

    def decided(self, ctx: HandlerCtx, action: NotifAction) -> None:
        self._told.append((self._index, action))


class AsyncPlanned(Planned):
    async def handle(self, ctx: HandlerCtx) -> Any:
        self._asked.append(self._index)
        await asyncio.sleep(1000 if self._plan.does == "late" else 0)
        return self._answer()


def rule(chance: random.Random) -> Rule:
    kind = chance.randrange(4)
    if kind == 0:
        return None
    if kind < 3:
        return chance.choice(ANSWERS)
    return {key: chance.choice(ANSWERS) for key in chance.sample(KEYS, chance.randint(0, 3))}


def plan(chance: random.Random) -> Plan:
    weights = {"continue": 12, "decide": 2, "raise": 4, "nonsense": 1, "late": 1, "descriptor": 1}
    does = chance.choices(list(weights), list(weights.values()))[0]
    value: Any = None
    if does == "decide":
        value = chance.choice([NotifAction.errno(errno.EXDEV), NotifAction.returns(TWO), KILL])
    elif does == "raise":
        value = chance.choice(EXCEPTIONS)
    elif does == "nonsense":
        value = chance.choice([None, 0, True, NotifAction, ExceptionPolicy.CONTINUE, "continue"])
    observes = chance.random() < 0.25
    return Plan(
        chance.random() < 0.3, observes, rule(chance), does, value, rule(chance) if chance.random() < 0.3 else None
    )


def lookup(kind: type, rules: list[Rule]) -> NotifAction:
    """Say what answers for an exception of that type; the most specific rule is the first."""
    for each in rules:
        if isinstance(each, Mapping):
            for base in kind.__mro__:
                if base in each:
                    return as_action(each[base])
        elif each is not None:
            return as_action(each)
    return KILL


def as_action(answer: Answer) -> NotifAction:
    return POLICIES[answer] if isinstance(answer, ExceptionPolicy) else answer


def expect(plans: list[Plan], default: Rule) -> Expected:
    """Go through the chain as the contract says."""
    expected = Expected()
    order = [i for i, p in enumerate(plans) if p.observes] + [i for i, p in enumerate(plans) if not p.observes]

    def for_error(index: int, kind: type) -> NotifAction:
        return lookup(kind, [plans[index].registered, plans[index].rule, default])

    for position, index in enumerate(order):
        each, failed = plans[index], None
        expected.asked.append(index)
        if each.does == "late":
            constants = [for_error(later, Exception) for later in order[position:]]
            expected.final = next((constant for constant in constants if constant != CONTINUE), CONTINUE)
            expected.failures.append((index, TimeoutError, expected.final))
            return expected
        if each.does == "raise":
            failed = each.value
        elif each.does == "nonsense" or (each.observes and each.does in ("decide", "descriptor")):
            failed = TypeError
        if failed is not None:
            expected.final = for_error(index, failed)
            expected.failures.append((index, failed, expected.final))
        else:
            expected.final = {"decide": each.value, "descriptor": None}.get(each.does, CONTINUE)
        if expected.final != CONTINUE:
            break
    return expected


def seen(result: Result) -> tuple[Any, ...]:
    """Return what the child saw."""
    if result.reason == ExitReason.KILLED:
        return ("killed",)
    value, error = map(int, result.stdout.split()[:2])
    return ("went on",) if error == 0 and value not in (3, ONE, TWO) else (value, error)


def must_see(final: NotifAction | None) -> tuple[Any, ...]:
    if final is None:
        return (3, 0)
    if final == CONTINUE:
        return ("went on",)
    if final == KILL:
        return ("killed",)
    return {
        **{NotifAction.errno(e): (-1, e) for e in (errno.EPERM, errno.EIO, errno.ENODEV, errno.EXDEV)},
        **{NotifAction.returns(v): (v, 0) for v in (ONE, TWO)},
    }[final]


@pytest.fixture(autouse=True)
def _nothing_stays_open() -> Iterator[None]:
    before = open_fds()
    yield
    assert open_fds() == before


@pytest.mark.parametrize("seed", range(30))
def test_as_the_model_says(stepper: Path, seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(10):
        plans = [plan(chance) for _ in range(chance.randint(1, 5))]
        default = rule(chance)
        expected = expect(plans, default)
        asked: list[int] = []
        told: list[tuple[int, NotifAction]] = []
        handlers = [(AsyncPlanned if p.is_async else Planned)(i, p, asked, told) for i, p in enumerate(plans)]
        registrations: list[Any] = [
            ("getppid", handler) if p.registered is None else ("getppid", handler, p.registered)
            for handler, p in zip(handlers, plans)
        ]
        box = tool_sandbox([stepper])
        if default is not None:
            box.on_exception = default
        result = box.run([stepper, number("getppid")], handlers=registrations, timeout=60)
        failures = [(handlers.index(f.handler), type(f.exception), f.action) for f in result.handler_errors]  # type: ignore[arg-type]
        context = f"{plans}, {default}"
        assert seen(result) == must_see(expected.final), context
        assert failures == expected.failures, context
        if not asked and plans[expected.asked[0]].does == "late":
            continue  # on a busy machine its time may be over before anybody is free to ask it
        assert asked == expected.asked, context
        assert [index for index, _ in told] == [i for i, p in enumerate(plans) if p.observes], context
        if expected.final is not None:
            assert {action for _, action in told} <= {expected.final}, context
