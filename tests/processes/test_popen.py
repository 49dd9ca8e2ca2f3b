"""A command that runs beside the host: streams, the end, signals."""

from __future__ import annotations

import gc
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from sandlock import ExitReason, Process, Sandbox, StdioMode
from tests.support.handlers import Answer, Fail
from tests.support.processes import PATIENCE, MakeFifo, Watched, open_fds
from tests.support.sandboxes import tool_sandbox

PIPED = StdioMode.PIPED


def test_a_dialogue(box: Sandbox) -> None:
    with box.popen(["sh", "-c", 'while read line; do echo "<$line>"; done; exit 3'], PIPED, PIPED) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        for word in (b"one", b"two"):
            process.stdin.write(word + b"\n")
            assert process.stdout.readline() == b"<" + word + b">\n"
        process.stdin.close()
        assert process.wait(PATIENCE).exit_code == 3


def test_iteration_by_lines(box: Sandbox) -> None:
    with box.popen(["printf", "a\\n\\377\\nlast"], stdout=PIPED) as process:
        assert process.stdout is not None
        assert list(process.stdout) == [b"a\n", b"\xff\n", b"last"]


def test_stderr_apart_and_with_stdout(box: Sandbox) -> None:
    command = ["sh", "-c", "echo out; echo err >&2"]
    with box.popen(command, stdout=PIPED, stderr=PIPED) as process:
        assert process.communicate() == (b"out\n", b"err\n")
    with box.popen(command, stdout=PIPED, stderr=subprocess.STDOUT) as process:
        assert process.stderr is None
        assert process.communicate() == (b"out\nerr\n", None)


def test_the_constants_of_subprocess(box: Sandbox) -> None:
    with box.popen(["cat"], subprocess.DEVNULL, subprocess.PIPE) as process:
        assert process.stdin is None
        assert process.communicate() == (b"", None)


def test_streams_that_are_not_piped_are_none(box: Sandbox) -> None:
    with box.popen(["true"], StdioMode.NULL, StdioMode.NULL, StdioMode.NULL) as process:
        assert (process.stdin, process.stdout, process.stderr) == (None, None, None)
        assert process.wait(PATIENCE).success


def test_files(box: Sandbox, tmp_path: Path) -> None:
    source, target = tmp_path / "in", tmp_path / "out"
    source.write_bytes(b"hello")
    with open(source, "rb") as stdin, open(target, "wb") as stdout:
        box.popen(["cat"], stdin, stdout).wait(PATIENCE)
    assert target.read_bytes() == b"hello"


def test_the_result_has_no_output(box: Sandbox) -> None:
    with box.popen(["echo", "hello"], stdout=PIPED) as process:
        assert process.communicate() == (b"hello\n", None)
        result = process.wait()
    assert (result.success, result.reason, result.stdout) == (True, ExitReason.EXITED, b"")
    assert process.wait() is result
    assert process.poll() is result


def test_poll(box: Sandbox) -> None:
    with box.popen(["cat"], PIPED, PIPED) as process:
        assert process.poll() is None
        process.communicate()
        result = process.poll()
    assert result is not None
    assert result.success


def test_the_wait_has_a_limit(box: Sandbox) -> None:
    with box.popen(["cat"], PIPED, StdioMode.NULL) as process:
        with pytest.raises(subprocess.TimeoutExpired) as caught:
            process.wait(0.01)
        assert caught.value.cmd == ["cat"]
        assert process.poll() is None


def test_signals(box: Sandbox) -> None:
    for number in (signal.SIGTERM, signal.SIGUSR1):
        with box.popen(["cat"], PIPED) as process:
            if number == signal.SIGTERM:
                process.terminate()
            else:
                process.send_signal(number)
            result = process.wait(PATIENCE)
        assert (result.reason, result.signal, result.exit_code) == (ExitReason.SIGNALED, number, -1)


def test_a_signal_that_is_caught(box: Sandbox) -> None:
    script = "trap 'echo caught; exit 5' USR1; echo up; while :; do sleep 0.01; done"
    with box.popen(["sh", "-c", script], stdout=PIPED) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        process.send_signal(signal.SIGUSR1)
        assert process.stdout.read() == b"caught\n"
        assert process.wait(PATIENCE).exit_code == 5


@pytest.mark.parametrize("way", ["kill", "SIGKILL"])
def test_kill_ends_the_tree(box: Sandbox, way: str) -> None:
    script = "setsid setsid sh -c 'echo $$; exec sleep 1000' & exec sleep 1000"
    with box.popen(["sh", "-c", script], stdout=PIPED) as process:
        assert process.stdout is not None
        with Watched(int(process.stdout.readline())) as daemon:
            if way == "kill":
                process.kill()
            else:
                process.send_signal(signal.SIGKILL)
            assert process.wait(PATIENCE).reason == ExitReason.KILLED
            assert daemon.gone(0)
    for late in (process.kill, process.terminate, process.pause, process.resume):
        late()
    process.send_signal(signal.SIGUSR1)


def test_a_daemon_ends_with_the_command_and_lets_go_of_the_pipe(box: Sandbox) -> None:
    with box.popen(["sh", "-c", "setsid setsid sleep 1000 & echo up"], stdout=PIPED) as process:
        assert process.communicate(timeout=PATIENCE) == (b"up\n", None)


def test_an_exception_kills(box: Sandbox) -> None:
    with pytest.raises(ZeroDivisionError), box.popen(["sleep", "1000"]) as process:
        raise ZeroDivisionError
    assert process.wait(0).reason == ExitReason.KILLED


def test_losing_it_ends_the_command(box: Sandbox) -> None:
    process = box.popen(["sleep", "1000"])
    assert process.pid is not None
    with Watched(process.pid) as command:
        del process
        gc.collect()
        assert command.gone()
    assert box.run(["true"]).success


@pytest.mark.parametrize("streams", [(PIPED,), (None, PIPED)], ids=["stdin", "stdout"])
def test_a_warning_about_a_lost_stream_does_not_keep_the_command(
    box: Sandbox, streams: tuple[StdioMode | None, ...]
) -> None:
    process = box.popen(["sleep", "1000"], *streams)
    assert process.pid is not None
    with Watched(process.pid) as command:
        # What is recorded of a warning holds the stream.
        with pytest.warns(ResourceWarning, match="unclosed") as recorded:
            del process
        assert command.gone()
    assert len(recorded) == 1


def test_a_stream_keeps_the_command(box: Sandbox) -> None:
    stream = box.popen(["sh", "-c", "read line; echo $line"], b"hello\n", PIPED).stdout
    gc.collect()
    assert stream is not None
    with stream:
        assert stream.read() == b"hello\n"


def test_not_found(box: Sandbox) -> None:
    with box.popen(["nosuchprogram"], PIPED, PIPED, PIPED) as process:
        assert process.communicate(b"x") == (b"", b"")
        result = process.wait()
    assert process.pid is None
    assert (result.success, result.exit_code) == (False, 127)
    assert "nosuchprogram" in str(result.error)


def test_not_executable(box: Sandbox) -> None:
    with box.popen(["/etc/passwd"], PIPED, PIPED, PIPED) as process:
        assert process.communicate(bytes(1 << 20)) == (b"", b"")
        result = process.wait()
    assert (result.success, result.exit_code) == (False, 127)
    assert "permission" in str(result.error)


def test_handlers(box: Sandbox) -> None:
    handler = Answer()
    with box.popen(["sh", "-c", "umask"], stdout=PIPED, handlers=[("umask", handler)]) as process:
        process.communicate()
    assert handler.calls > 0
    with box.popen(["sh", "-c", "umask"], handlers=[("umask", Fail(KeyError()))]) as process:
        result = process.wait(PATIENCE)
    assert result.reason == ExitReason.KILLED
    assert isinstance(result.handler_errors[0].exception, KeyError)


def test_a_base_exception_of_a_handler_comes_out_of_each_wait(box: Sandbox) -> None:
    process = box.popen(["sh", "-c", "umask"], handlers=[("umask", Fail(SystemExit(3)))])
    for _ in range(2):
        with pytest.raises(SystemExit):
            process.wait(PATIENCE)


def test_many_threads_may_wait(box: Sandbox) -> None:
    results = []
    with box.popen(["cat"], PIPED) as process:
        assert process.stdin is not None
        threads = [threading.Thread(target=lambda: results.append(process.wait())) for _ in range(8)]
        for thread in threads:
            thread.start()
        process.stdin.close()
        for thread in threads:
            thread.join(PATIENCE)
    assert len(results) == 8
    assert len({id(result) for result in results}) == 1


def test_the_sandbox_leaves_it_alone(box: Sandbox) -> None:
    with box.popen(["cat"], PIPED) as process:
        assert (box.pid, box.is_running) == (process.pid, True)
        for verb in ("kill", "pause", "resume", "wait"):
            with pytest.raises(RuntimeError, match=f"cannot {verb}"):
                getattr(box, verb)()
        with pytest.raises(RuntimeError, match="running a command already"):
            box.run(["true"])
        assert process.poll() is None
    assert not box.is_running


def test_the_sandbox_is_free_when_the_command_has_ended(box: Sandbox, make_fifo: MakeFifo) -> None:
    first = box.popen(["true"])
    first.wait(PATIENCE)
    second = box.popen(["cat"], PIPED)
    del first
    gc.collect()
    assert box.pid == second.pid
    with second:
        pass


def test_leaving_the_sandbox_ends_it() -> None:
    with tool_sandbox() as box:
        process = box.popen(["sleep", "1000"])
        assert process.pid is not None
        command = Watched(process.pid)
    with command:
        assert command.gone(0)
    assert process.wait(0).reason == ExitReason.KILLED


def test_descriptors_of_the_host_do_not_reach_it(box: Sandbox) -> None:
    box = tool_sandbox(["/proc"])
    with box.popen(["ls", "/proc/self/fd"], PIPED, PIPED, PIPED) as process:
        assert process.communicate() == (b"0\n1\n2\n3\n", b"")


def test_nothing_is_left(box: Sandbox) -> None:
    before = open_fds()
    process: Process = box.popen(["cat"], PIPED, PIPED, PIPED)
    process.communicate(b"x")
    assert open_fds() == before
