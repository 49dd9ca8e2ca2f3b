"""A command that runs beside a program of asyncio."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import threading
import time
from collections.abc import Coroutine
from typing import Any, Callable

import pytest

from sandlock import ExitReason, Handler, HandlerCtx, NotifAction, PolicyError, Sandbox, StdioMode
from tests.support.handlers import Answer, Fail
from tests.support.processes import PATIENCE, Watched, open_fds
from tests.support.sandboxes import tool_sandbox

PIPED = StdioMode.PIPED
ALL_BYTES = bytes(range(256))


def run(coroutine: Coroutine[Any, Any, Any]) -> Any:
    return asyncio.run(asyncio.wait_for(coroutine, PATIENCE))


def test_a_dialogue(box: Sandbox) -> None:
    async def main() -> None:
        script = 'while read line; do echo "<$line>"; done; exit 3'
        async with await box.apopen(["sh", "-c", script], PIPED, PIPED) as process:
            assert process.stdin is not None
            assert process.stdout is not None
            for word in (b"one", b"two"):
                process.stdin.write(word + b"\n")
                await process.stdin.drain()
                assert await process.stdout.readline() == b"<" + word + b">\n"
            assert process.returncode is None
            assert process.poll() is None
            process.stdin.close()
            assert (await process.wait()).exit_code == 3
            assert process.returncode == 3

    run(main())


def test_iteration_by_lines(box: Sandbox) -> None:
    async def main() -> list[bytes]:
        async with await box.apopen(["printf", "a\\n\\377\\nlast"], stdout=PIPED) as process:
            assert process.stdout is not None
            return [line async for line in process.stdout]

    assert run(main()) == [b"a\n", b"\xff\n", b"last"]


@pytest.mark.parametrize("data", [None, b"", b"x", ALL_BYTES * (16 << 10)], ids=["none", "nothing", "x", "4 MiB"])
def test_communicate(box: Sandbox, data: bytes | None) -> None:
    async def main() -> tuple[bytes | None, bytes | None]:
        async with await box.apopen(["sh", "-c", "tee /dev/stderr"], PIPED, PIPED, PIPED) as process:
            return await process.communicate(data)

    box = tool_sandbox(writable=["/proc", "/dev/stderr"])
    assert run(main()) == (data or b"", data or b"")


def test_input_that_is_not_read_to_its_end(box: Sandbox) -> None:
    async def main() -> tuple[bytes | None, bytes | None]:
        async with await box.apopen(["head", "-c", "3"], PIPED, PIPED) as process:
            return await process.communicate(b"abcdef" * 100000)

    assert run(main()) == (b"abc", None)


def test_stderr_with_stdout(box: Sandbox) -> None:
    async def main() -> None:
        command = ["sh", "-c", "echo out; echo err >&2"]
        for _ in range(50):  # some end before their streams are read
            async with await box.apopen(command, stdout=PIPED, stderr=subprocess.STDOUT) as process:
                assert (process.stdin, process.stderr) == (None, None)
                assert await process.communicate() == (b"out\nerr\n", None)

    run(main())


def test_many_at_once() -> None:
    async def one(number: int) -> bytes | None:
        async with await tool_sandbox().apopen(["cat"], PIPED, PIPED) as process:
            return (await process.communicate(b"%d" % number))[0]

    async def main() -> list[bytes | None]:
        return await asyncio.gather(*map(one, range(20)))

    assert run(main()) == [b"%d" % number for number in range(20)]


def test_a_wait_that_is_cancelled_leaves_the_command(box: Sandbox) -> None:
    async def main() -> None:
        async with await box.apopen(["cat"], PIPED, StdioMode.NULL) as process:
            with pytest.raises(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), 0.01)
            assert process.poll() is None
            await process.communicate()
            assert process.returncode == 0

    run(main())


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGKILL])
def test_signals(box: Sandbox, number: signal.Signals) -> None:
    async def main() -> None:
        async with await box.apopen(["sleep", "1000"]) as process:
            process.send_signal(number)
            result = await process.wait()
        assert result.reason == (ExitReason.KILLED if number == signal.SIGKILL else ExitReason.SIGNALED)
        assert (result.signal, process.returncode) == (number, -number)
        process.terminate()
        process.kill()

    run(main())


@pytest.mark.parametrize("way", ["exception", "cancellation"])
def test_what_ends_the_block_ends_the_tree(box: Sandbox, way: str) -> None:
    script = "setsid setsid sh -c 'echo $$; exec sleep 1000' & exec sleep 1000"
    found: list[Watched] = []

    async def main() -> None:
        async with await box.apopen(["sh", "-c", script], stdout=PIPED) as process:
            assert process.stdout is not None
            found.append(Watched(int(await process.stdout.readline())))
            if way == "exception":
                raise ZeroDivisionError
            await asyncio.wait_for(process.wait(), 0.01)

    with pytest.raises(ZeroDivisionError if way == "exception" else asyncio.TimeoutError):
        run(main())
    with found[0] as daemon:
        assert daemon.gone(0)


def test_losing_it_ends_the_command(box: Sandbox) -> None:
    async def main() -> None:
        process = await box.apopen(["sleep", "1000"])
        assert process.pid is not None
        with Watched(process.pid) as command:
            del process
            gc.collect()
            assert command.gone()

    run(main())


def test_a_stream_keeps_the_command(box: Sandbox) -> None:
    async def main() -> bytes:
        stream = (await box.apopen(["sh", "-c", "read line; echo $line"], b"hello\n", PIPED)).stdout
        gc.collect()
        assert stream is not None
        return await stream.read()

    assert run(main()) == b"hello\n"


@pytest.mark.parametrize("command", ["nosuchprogram", "/etc/passwd"])
def test_not_executable(box: Sandbox, command: str) -> None:
    async def main() -> None:
        async with await box.apopen([command], PIPED, PIPED, PIPED) as process:
            assert await process.communicate(bytes(1 << 20)) == (b"", b"")
            result = await process.wait()
        assert (result.success, result.exit_code, process.returncode) == (False, 127, 127)
        assert command in str(result.error)

    run(main())


class Slow(Handler):
    """Awaits in the caller's loop."""

    async def handle(self, ctx: HandlerCtx) -> NotifAction:  # type: ignore[override]
        self.loop = asyncio.get_running_loop()
        await asyncio.sleep(0.001)
        return NotifAction.returns(0o123)


def test_handlers(box: Sandbox) -> None:
    slow, plain = Slow(), Answer()

    async def main() -> tuple[bytes | None, bytes | None]:
        handlers: list[Any] = [("umask", plain), ("umask", slow)]
        async with await box.apopen(["sh", "-c", "umask"], stdout=PIPED, handlers=handlers) as process:
            output = await process.communicate()
        assert slow.loop is asyncio.get_running_loop()
        return output

    assert run(main()) == (b"0123\n", None)
    assert plain.calls > 0


def test_a_base_exception_of_a_handler_comes_out_of_the_wait(box: Sandbox) -> None:
    class Stop(BaseException):
        pass

    async def main() -> None:
        process = await box.apopen(["sh", "-c", "umask"], handlers=[("umask", Fail(Stop()))])
        for _ in range(2):
            with pytest.raises(Stop):
                await process.wait()

    run(main())


def test_wrong_arguments(box: Sandbox) -> None:
    async def main() -> None:
        with pytest.raises(PolicyError, match="cmd"):
            await box.apopen([])
        with pytest.raises(TypeError, match="stdin must be"):
            await box.apopen(["true"], stdin=1.5)  # type: ignore[arg-type]
        async with await box.apopen(["sleep", "1000"], stdout=PIPED) as process:
            with pytest.raises(TypeError, match="input must be bytes"):
                await process.communicate("text")  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="start the command with stdin"):
                await process.communicate(b"x")
            with pytest.raises(RuntimeError, match="running a command already"):
                await box.apopen(["true"])
            process.kill()

    run(main())


async def communicated(box: Sandbox) -> None:
    async with await box.apopen(["cat"], PIPED, PIPED, PIPED) as process:
        await process.communicate(b"x")


async def killed(box: Sandbox) -> None:
    async with await box.apopen(["cat"], PIPED, PIPED) as process:
        process.kill()


async def unread(box: Sandbox) -> None:
    async with await box.apopen(["echo", "hello"], stdout=PIPED):
        pass


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("way", [communicated, killed, unread], ids=lambda way: way.__name__)
def test_nothing_is_left(box: Sandbox, way: Callable[[Sandbox], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        before = open_fds(), {thread.name for thread in threading.enumerate()}
        for _ in range(20):
            await way(box)
        end = time.monotonic() + PATIENCE
        while open_fds() != before[0] and time.monotonic() < end:
            await asyncio.sleep(0)  # transports close in one of the loop's next turns
        assert (open_fds(), {thread.name for thread in threading.enumerate()}) == before

    run(way(box))  # in a loop of its own, which closes what it has opened
    run(main())
