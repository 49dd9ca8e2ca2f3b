"""The interpreter ends while runs are under way and handlers at work: the constant action answers, nothing hangs."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.busy import CHAINS
from tests.support.processes import run_host

# The hook is there before the package, so that it runs after the package's own: the command goes on until it has told
# what became of its call.
HOST = """
    import atexit, sys, threading
    from pathlib import Path
    from tests.support.processes import Fifo, Watched

    folder, chain, constant, calls = Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    told = Fifo(folder / "told")

    @atexit.register
    def observe():
        if constant == "KILL":
            print("killed" if command.gone() else "alive")
        else:
            print(*sorted(told.line() for _ in range(calls)))

    from sandlock import ExceptionPolicy
    from tests.support import busy
    from tests.support.sandboxes import tool_sandbox

    box = tool_sandbox(writable=[folder], on_exception=ExceptionPolicy[constant])
    call = f"cd / 2>/dev/null && echo passed >{told.path} || echo refused >{told.path}"
    script = f"({call}) & " * calls + "sleep 1000"
    handlers = busy.chain(chain, "chdir")
    threading.Thread(target=box.run, args=(["sh", "-c", script],), kwargs={"handlers": handlers}, daemon=True).start()
    busy.asked.wait()
    command = Watched(box.pid)
"""


@pytest.mark.parametrize("chain", CHAINS)
def test_the_constant_action_answers(python: str, tmp_path: Path, chain: str) -> None:
    done = run_host(HOST, tmp_path, chain, "DENY_EPERM", 1, python=[python])
    assert (done.returncode, done.stdout, done.stderr) == (0, "refused\n", "")


@pytest.mark.parametrize("chain", ["sleeping", "awaiting"])
@pytest.mark.parametrize(("constant", "outcome"), [("KILL", "killed"), ("CONTINUE", "passed")])
def test_whichever_it_is(python: str, tmp_path: Path, chain: str, constant: str, outcome: str) -> None:
    done = run_host(HOST, tmp_path, chain, constant, 1, python=[python])
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{outcome}\n", "")


@pytest.mark.parametrize("chain", ["sleeping", "looping", "awaiting"])
def test_calls_that_wait_for_a_free_handler(python: str, tmp_path: Path, chain: str) -> None:
    """Of twenty calls eight are with handlers, or all with coroutines; some come later still."""
    done = run_host(HOST, tmp_path, chain, "DENY_EPERM", 20, python=[python])
    assert (done.returncode, done.stdout, done.stderr) == (0, " ".join(["refused"] * 20) + "\n", "")
