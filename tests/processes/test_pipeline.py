"""Stages that run at the same time, the output of one being the input of the next."""

from __future__ import annotations

import signal
import subprocess
import threading
from pathlib import Path
from typing import Any, Callable

import pytest

from sandlock import ExitReason, Pipeline, PolicyError, Sandbox, Stage
from tests.support.processes import PATIENCE, MakeFifo, Watched, host_command, host_environment, open_fds, run_host
from tests.support.sandboxes import tool_sandbox


def test_stages_in_one_sandbox_and_in_several(box: Sandbox) -> None:
    for second in (box, tool_sandbox()):
        result = (box.cmd(["echo", "hello"]) | second.cmd(["tr", "h", "H"]) | box.cmd(["cat"])).run()
        assert (result.success, result.stdout, result.stderr) == (True, b"Hello\n", b"")


def test_pipelines_of_pipelines(box: Sandbox) -> None:
    echo, cat, upper = box.cmd(["echo", "hello"]), box.cmd(["cat"]), box.cmd(["tr", "h", "H"])
    stages = [echo, cat, upper, cat]
    for pipeline in (echo | cat | upper | cat, (echo | cat) | (upper | cat), echo | (cat | (upper | cat))):
        assert pipeline.stages == stages
        assert pipeline.run().stdout == b"Hello\n"


def test_each_stage_has_its_own_policy(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("secret")
    reader, other = tool_sandbox([tmp_path]), tool_sandbox()
    script = f"cat; cat {tmp_path}/data || echo refused"
    result = (reader.cmd(["cat", tmp_path / "data"]) | other.cmd(["sh", "-c", script])).run()
    assert result.stdout == b"secretrefused\n"


def test_a_single_stage(box: Sandbox) -> None:
    assert box.cmd(["echo", "hello"]).run(timeout=PATIENCE).stdout == b"hello\n"


def test_the_result_is_the_last_stages(box: Sandbox) -> None:
    result = (box.cmd(["sh", "-c", "exit 3"]) | box.cmd(["sh", "-c", "echo out; echo err >&2; exit 4"])).run()
    assert (result.exit_code, result.stdout, result.stderr) == (4, b"out\n", b"err\n")
    assert (box.cmd(["sh", "-c", "kill $$"]) | box.cmd(["true"])).run().success


def test_a_stage_whose_reader_has_ended_dies_of_sigpipe(tmp_path: Path) -> None:
    writer = tool_sandbox(writable=[tmp_path]).cmd(["sh", "-c", f"yes; echo $? >{tmp_path}/status"])
    assert (writer | tool_sandbox().cmd(["head", "-n1"])).run().stdout == b"y\n"
    assert (tmp_path / "status").read_text() == f"{128 + signal.SIGPIPE}\n"


def test_much_data(box: Sandbox) -> None:
    zeros = tool_sandbox(["/dev/zero"]).cmd(["head", "-c", "50000000", "/dev/zero"])
    assert (zeros | box.cmd(["cat"]) | box.cmd(["wc", "-c"])).run().stdout == b"50000000\n"


def test_the_ends_of_the_line_are_as_in_run() -> None:
    host = """
        from tests.support.sandboxes import tool_sandbox
        box = tool_sandbox()
        result = (box.cmd(["sh", "-c", "cat; echo first >&2"]) | box.cmd(["sh", "-c", "cat; echo last >&2"])).run()
        print(result.stdout, result.stderr)
    """
    done = run_host(host, input="hello\n")
    assert (done.stdout, done.stderr) == ("b'hello\\n' b'last\\n'\n", "first\n")


def test_all_stages_are_waited_for(make_fifo: MakeFifo) -> None:
    on, over = make_fifo("on"), make_fifo("over")
    first = tool_sandbox(writable=[on.path]).cmd(["sh", "-c", f"exec >&-; read line <{on.path}; exit 1"])
    last = tool_sandbox(writable=[over.path]).cmd(["sh", "-c", f"echo over >{over.path}; echo hello"])
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append((first | last).run()))
    thread.start()
    assert over.line() == "over"
    thread.join(0.1)
    assert results == []
    on.release()
    thread.join()
    assert [result.stdout for result in results] == [b"hello\n"]


def test_a_sandbox_that_runs_a_command_can_be_a_stage(box: Sandbox) -> None:
    with box:
        box.spawn(["sleep", "1000"])
        assert (box.cmd(["echo", "hello"]) | box.cmd(["cat"])).run().stdout == b"hello\n"
        assert box.is_running


@pytest.mark.parametrize("bad", [0, 1])
def test_nothing_is_executed_when_a_policy_is_wrong(tmp_path: Path, bad: int) -> None:
    stages = [tool_sandbox(writable=[tmp_path]).cmd(["touch", tmp_path / "made"])]
    stages.insert(bad, Sandbox(cwd="/nonexistent").cmd(["true"]))
    with pytest.raises(PolicyError, match="cwd"):
        Pipeline(stages).run()
    assert not (tmp_path / "made").exists()


def test_nothing_is_executed_when_a_program_is_not_found(tmp_path: Path) -> None:
    first = tool_sandbox(writable=[tmp_path]).cmd(["touch", tmp_path / "made"])
    result = (first | tool_sandbox().cmd(["nosuchprogram"])).run()
    assert (result.success, result.exit_code) == (False, 127)
    assert b"nosuchprogram" in result.stderr
    assert not (tmp_path / "made").exists()


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_a_stage_that_cannot_be_executed_ends_the_others(box: Sandbox, bad: int) -> None:
    stages = [box.cmd(["sleep", "1000"]), box.cmd(["sleep", "1000"])]
    stages.insert(bad, box.cmd(["/etc/passwd"]))
    result = Pipeline(stages).run(PATIENCE)
    assert (result.success, result.exit_code) == (False, 127)
    assert "permission" in str(result.error)
    assert b"permission" in result.stderr


@pytest.mark.parametrize("sleeper", [0, 1])
def test_a_timeout_kills_all_trees(make_fifo: MakeFifo, sleeper: int) -> None:
    up = make_fifo("up")
    daemon = f"setsid setsid sh -c 'echo $$ >{up.path}; exec sleep 1000' & exec sleep 1000"
    stages = [tool_sandbox().cmd(["echo", "hello"])]
    stages.insert(sleeper, tool_sandbox(writable=[up.path]).cmd(["sh", "-c", daemon]))
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(Pipeline(stages).run(timeout=2)))
    thread.start()
    with Watched(int(up.line())) as grandchild:
        thread.join()
        assert grandchild.gone(0)
    (result,) = results
    assert (result.success, result.reason, result.exit_code) == (False, ExitReason.TIMEOUT, -1)


def test_an_interrupt_ends_all_stages(make_fifo: MakeFifo) -> None:
    host = """
        import signal, sys
        from tests.support.sandboxes import tool_sandbox
        signal.signal(signal.SIGINT, signal.default_int_handler)
        stages = [
            tool_sandbox(writable=[path]).cmd(["sh", "-c", f"trap '' INT; echo $$ >{path}; exec sleep 1000"])
            for path in sys.argv[1:]
        ]
        try:
            (stages[0] | stages[1]).run()
        except KeyboardInterrupt:
            print("interrupted")
    """
    fifos = [make_fifo("first"), make_fifo("second")]
    command = host_command(host, *(fifo.path for fifo in fifos))
    with subprocess.Popen(command, env=host_environment(), stdout=subprocess.PIPE, text=True) as process:
        try:
            first, second = (Watched(int(fifo.line())) for fifo in fifos)
            with first, second:
                process.send_signal(signal.SIGINT)
                assert process.communicate(timeout=PATIENCE)[0] == "interrupted\n"
                assert first.gone(0)
                assert second.gone(0)
        finally:
            process.kill()


def broken(box: Sandbox) -> None:
    with pytest.raises(PolicyError):
        (box.cmd(["true"]) | Sandbox(cwd="/nonexistent").cmd(["true"])).run()


@pytest.mark.parametrize(
    "run",
    [
        lambda box: (box.cmd(["echo", "x"]) | box.cmd(["cat"])).run(),
        lambda box: (box.cmd(["echo", "x"]) | box.cmd(["nosuchprogram"])).run(),
        lambda box: (box.cmd(["sleep", "9"]).as_("a") + box.cmd(["echo"]).as_("b") | box.cmd(["cat"])).run(0.01),
        broken,
    ],
    ids=["good", "not found", "gather", "wrong"],
)
def test_nothing_is_left(box: Sandbox, run: Callable[[Sandbox], Any]) -> None:
    run(box)
    before = open_fds(), {thread.name for thread in threading.enumerate()}
    for _ in range(20):
        run(box)
    assert (open_fds(), {thread.name for thread in threading.enumerate()}) == before


def test_too_few_stages(box: Sandbox) -> None:
    stages: list[list[Stage]] = [[], [box.cmd(["true"])]]
    for few in stages:
        with pytest.raises(ValueError, match=f"at least 2, not {len(few)}"):
            Pipeline(few)


def test_what_is_no_stage(box: Sandbox) -> None:
    stage: Any = box.cmd(["true"])
    wrongs: list[Any] = ["cat", ["cat"], None, stage.as_("x")]
    for wrong in wrongs:
        with pytest.raises(TypeError):
            stage | wrong
        with pytest.raises(TypeError, match="a stage must be a Stage"):
            Pipeline([stage, wrong])
    for wrong in (stage, "x"):
        with pytest.raises(TypeError):
            stage.as_("x") + wrong


def test_wrong_limits_and_commands(box: Sandbox) -> None:
    fds = open_fds()
    with pytest.raises(ValueError, match="timeout"):
        (box.cmd(["true"]) | box.cmd(["true"])).run(timeout=-1)
    with pytest.raises(PolicyError, match="cmd"):
        (box.cmd(["true"]) | box.cmd([])).run()
    assert open_fds() == fds


def test_a_stage_starts_nothing(box: Sandbox) -> None:
    stage = box.cmd(["nosuchprogram"])
    assert (stage.sandbox, list(stage.args)) == (box, ["nosuchprogram"])
    assert (stage | stage).stages == [stage, stage]
    assert not box.is_running
