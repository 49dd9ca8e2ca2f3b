"""Runs at the same time do not know of each other; one sandbox runs one command at a time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, Sandbox, SandboxError
from tests.support.handlers import CONTINUE, Answer
from tests.support.processes import MakeFifo
from tests.support.sandboxes import tool_sandbox

THREADS = 8
ROUNDS = 20


def test_many_threads(tmp_path: Path) -> None:
    def work(number: int) -> None:
        own = tmp_path / str(number)
        own.mkdir()
        others = " ".join(f"../{other}/got" for other in range(1, THREADS + 1))
        box = tool_sandbox(writable=[own], cwd=own, env={"NUMBER": str(number)})
        for turn in range(ROUNDS):
            script = f'echo "$NUMBER $(pwd -P) {turn}"; cat >got; cat {others}; exit {number}'
            result = box.run(["sh", "-c", script], input=b"%d" % number)
            # Of all the folders only its own is within reach.
            assert (result.exit_code, result.stdout) == (number, f"{number} {own} {turn}\n{number}".encode())
            assert (own / "got").read_text() == str(number)

    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(work, number) for number in range(1, THREADS + 1)]:
            done.result()


class Number(Handler):
    """Answers with a number."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.pids: set[int] = set()

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.pids.add(ctx.pid)
        return NotifAction.returns(self.number)


def test_handlers_belong_to_one_run() -> None:
    """The same system call is answered by each sandbox's own handler, at the same time."""

    def work(number: int) -> set[int]:
        handler = Number(number)
        box = tool_sandbox()
        for _ in range(ROUNDS):
            result = box.run(["sh", "-c", "for i in 1 2 3; do umask; done"], handlers=[("umask", handler)])
            assert result.stdout == b"%04o\n" % number * 3
        return handler.pids

    with ThreadPoolExecutor(THREADS) as pool:
        pids = [done.result() for done in [pool.submit(work, number) for number in range(1, THREADS + 1)]]
    assert all(len(own) == ROUNDS for own in pids)


def test_one_command_at_a_time(tmp_path: Path, make_fifo: MakeFifo) -> None:
    up, on = make_fifo("up"), make_fifo("on")
    box = tool_sandbox(writable=[tmp_path], name="busy")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(box.run, ["sh", "-c", f"echo up >{up.path}; read line <{on.path}; echo first"])
        up.line()
        try:
            with pytest.raises(RuntimeError, match="'busy' is running a command already; use another instance"):
                box.run(["touch", tmp_path / "second"])
            assert tool_sandbox().run(["echo", "other"]).stdout == b"other\n"
        finally:
            on.release()
        assert first.result().stdout == b"first\n"
    assert not (tmp_path / "second").exists()
    assert box.run(["echo", "third"]).stdout == b"third\n"


class Nested(Handler):
    """Runs another command while its own waits."""

    def __init__(self, box: Sandbox, handler: Handler) -> None:
        self._box = box
        self._handler = handler
        self.output = b""

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        self.output = self._box.run(["sh", "-c", "umask"], handlers=[("umask", self._handler)], check=True).stdout
        return CONTINUE


def test_a_handler_may_run_another_sandbox(box: Sandbox) -> None:
    nested = Nested(tool_sandbox(), Answer(NotifAction.returns(0o123)))
    assert box.run(["sh", "-c", "umask; echo end"], handlers=[("umask", nested)]).stdout.endswith(b"end\n")
    assert nested.output == b"0123\n"


def test_a_handler_may_not_run_its_own_sandbox(box: Sandbox) -> None:
    result = box.run(["sh", "-c", "umask"], handlers=[("umask", Nested(box, Answer()), NotifAction.errno(1))])
    assert {type(failure.exception) for failure in result.handler_errors} == {SandboxError}
    assert "is running a command already" in str(result.handler_errors[0].exception)


def test_a_run_in_a_thread_that_ends() -> None:
    results = []
    for _ in range(20):
        thread = threading.Thread(target=lambda: results.append(tool_sandbox().run(["echo", "hello"]).stdout))
        thread.start()
        thread.join()
    assert results == [b"hello\n"] * 20
