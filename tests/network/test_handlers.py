"""Python handlers of calls that the supervisor performs: whatever lets one go on, it is judged and performed."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from sandlock import ExceptionPolicy, Handler, HandlerCtx, NotifAction
from sandlock._syscalls import number_of
from tests.support.acts import Back, act
from tests.support.held import HoldAll
from tests.support.programs import Program
from tests.support.sandboxes import tool_sandbox
from tests.support.sockets import AF_INET, DGRAM, MakeServer, port_of, received, rule, sockaddr


class Fails(Handler):
    on_exception = ExceptionPolicy.CONTINUE

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        raise ValueError("always")


class Late(Handler):
    """Decides when its time is over."""

    on_exception = ExceptionPolicy.CONTINUE
    handler_timeout = 0.05

    def __init__(self) -> None:
        self.over = threading.Event()

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.over.wait(30)
        return NotifAction.errno(1)


class Awaits(Handler):
    async def handle(self, ctx: HandlerCtx) -> NotifAction:  # type: ignore[override]
        await asyncio.sleep(0)
        return NotifAction.continue_()


class Observes(Handler):
    observe = True

    def __init__(self) -> None:
        self.seen: list[int] = []

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.seen.append(ctx.syscall_nr)
        return NotifAction.continue_()


class Rewrites(Handler):
    """Turns each address into another one."""

    def __init__(self, address: bytes) -> None:
        self.address = address

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        ctx.write(ctx.args[4], self.address)
        return NotifAction.continue_()


def send(program: Path, name: bytes, handler: Handler, port: int) -> list[str]:
    """Send a datagram, where 127.0.0.1 is granted."""
    box = tool_sandbox([program], net_allow=[rule("127.0.0.1", port)])
    calls = [("socket", AF_INET, DGRAM, 0), ("sendto", Back(1), b"x", 1, 0, name, len(name))]
    return [a.error for a in act(box, program, calls, handlers=[("sendto", handler)])]


@pytest.mark.parametrize("handler", [Awaits(), Observes()], ids=["async", "observer"])
def test_continued(acts: Path, make_receiver: MakeServer, handler: Handler) -> None:
    receiver = make_receiver("127.0.0.1")
    port = port_of(receiver)
    assert send(acts, sockaddr("127.0.0.1", port), handler, port) == ["", ""]
    assert received(receiver) == [b"x"]
    assert send(acts, sockaddr("127.0.0.2", port), handler, port) == ["", "EACCES"]


def test_continued_for_an_exception(program: Program, make_receiver: MakeServer) -> None:
    granted = make_receiver("127.0.0.1")
    other = make_receiver("127.0.0.2", port_of(granted))
    turncoat = program("turncoat")
    box = tool_sandbox([turncoat], net_allow=[rule("127.0.0.1", port_of(granted))])
    for handler in (Fails(), Awaits()):
        box.run([turncoat, "sendto", "100", str(port_of(granted))], timeout=60, handlers=[("sendto", handler)])
        assert received(granted)
    assert received(other) == []


def test_continued_for_a_handler_that_is_late(acts: Path, make_receiver: MakeServer) -> None:
    receiver = make_receiver("127.0.0.1")
    receiver.settimeout(30)
    late = Late()
    came = []

    def receive() -> None:
        came.append(receiver.recv(10))
        late.over.set()

    receiving = threading.Thread(target=receive)
    receiving.start()
    name = sockaddr("127.0.0.1", port_of(receiver)).hex()
    steps = f"{number_of('socket')} {AF_INET} {DGRAM} 0 , {number_of('sendto')} r:0 x:78 1 0 x:{name} 16"
    box = tool_sandbox([acts], net_allow=[rule("127.0.0.1", port_of(receiver))])
    result = box.run([acts, *steps.split()], timeout=60, handlers=[("sendto", late)])
    receiving.join()
    assert result.stdout.splitlines()[1] == b"1 0 "
    assert [type(failure.exception) for failure in result.handler_errors] == [TimeoutError]
    assert came == [b"x"]


def test_the_address_that_a_handler_writes(acts: Path, make_receiver: MakeServer) -> None:
    """It is judged like any other."""
    receiver = make_receiver("127.0.0.1")
    other = make_receiver("127.0.0.2", port_of(receiver))
    port = port_of(receiver)
    start = sockaddr("127.0.0.1", port)
    assert send(acts, start, Rewrites(sockaddr("127.0.0.2", port)), port) == ["", "EACCES"]
    assert send(acts, start, Rewrites(sockaddr("0.0.0.0", port)), port) == ["", ""]
    assert (received(receiver), received(other)) == ([b"x"], [])


def test_a_call_that_is_held(acts: Path, make_receiver: MakeServer) -> None:
    receiver = make_receiver("127.0.0.1")
    port = port_of(receiver)
    box = tool_sandbox([acts], net_allow=[rule("127.0.0.1", port)])
    holds = HoldAll()

    def answer() -> None:
        box.answer(holds.wait(box, 1)[0], NotifAction.continue_())

    answering = threading.Thread(target=answer)
    answering.start()
    name = sockaddr("127.0.0.1", port)
    calls = [("socket", AF_INET, DGRAM, 0), ("sendto", Back(1), b"x", 1, 0, name, len(name))]
    done = act(box, acts, calls, handlers=[("sendto", holds)])
    answering.join()
    assert [a.error for a in done] == ["", ""]
    assert received(receiver) == [b"x"]
