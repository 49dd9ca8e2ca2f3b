"""Worker processes, however they are started; only those that were forked after the first use get an error."""

from __future__ import annotations

import pickle

import pytest

from sandlock import ChildError, ForkError, HandlerError
from tests.support.handlers import Fail
from tests.support.processes import run_host
from tests.support.sandboxes import tool_sandbox

WORKERS = """
    import multiprocessing, sys
    from concurrent.futures import ProcessPoolExecutor
    import sandlock
    from tests.support.work import echo

    kind, method, used = sys.argv[1:]
    context = multiprocessing.get_context(method)
    if used == "used":
        echo("first")
    if kind == "pool":
        with context.Pool(2) as pool:
            results = [pool.apply_async(echo, [text]) for text in "abc"]
            outcomes = [result.get for result in results]
            pool.close()
            pool.join()
    else:
        with ProcessPoolExecutor(2, mp_context=context) as executor:
            outcomes = [executor.submit(echo, text).result for text in "abc"]
    for outcome in outcomes:
        try:
            print(outcome())
        except sandlock.ForkError as error:
            print("ForkError", "start the child with the 'spawn' method" in str(error))
    print(echo("last"))
"""


@pytest.mark.parametrize("used", ["used", "unused"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
@pytest.mark.parametrize("kind", ["pool", "executor"])
def test_pools(kind: str, method: str, used: str) -> None:
    done = run_host(WORKERS, kind, method, used)
    outcomes = [f"b'0077\\n{text}\\n'" for text in "abc"]
    if (method, used) == ("fork", "used"):
        outcomes = ["ForkError True"] * 3
    assert done.stdout.splitlines() == [*outcomes, "b'0077\\nlast\\n'"], done.stderr


PROCESS = """
    import multiprocessing, sys
    from tests.support.work import echo

    method, used = sys.argv[1:]
    if used == "used":
        echo("first")
    process = multiprocessing.get_context(method).Process(target=echo, args=["x"])
    process.start()
    process.join()
    print(process.exitcode, echo("last"))
"""


@pytest.mark.parametrize("used", ["used", "unused"])
@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_on_every_interpreter(python: str, method: str, used: str) -> None:
    done = run_host(PROCESS, method, used, python=[python])
    failed = int((method, used) == ("fork", "used"))
    assert done.stdout == f"{failed} b'0077\\nlast\\n'\n", done.stderr
    assert ("ForkError" in done.stderr) == bool(failed)


FAILING = """
    import multiprocessing
    from concurrent.futures import ProcessPoolExecutor
    import sandlock
    from tests.support.sandboxes import tool_sandbox
    from tests.support.work import fail

    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as executor:
        try:
            executor.submit(fail).result()
        except sandlock.ChildError as error:
            print(error.cmd, error.result.exit_code, error)
        box = tool_sandbox(name="traveller")
        print(executor.submit(box.run, ["echo", "travelled"]).result().stdout)
"""


def test_errors_results_and_sandboxes_travel_between_processes() -> None:
    done = run_host(FAILING)
    assert done.stdout.splitlines() == [
        "['false'] 1 command ['false'] exited with status 1",
        "b'travelled\\n'",
    ], done.stderr


def test_errors_can_be_pickled() -> None:
    box = tool_sandbox()
    with pytest.raises(ChildError) as child_error:
        box.run(["false"], check=True)
    with pytest.raises(HandlerError) as handler_error:
        box.run(["sh", "-c", "umask"], handlers=[("umask", Fail(OSError(5, "text")))], raise_handler_errors=True)
    for error in (child_error.value, handler_error.value, ForkError("text")):
        copy = pickle.loads(pickle.dumps(error))
        assert (type(copy), str(copy)) == (type(error), str(error))
    assert repr(pickle.loads(pickle.dumps(handler_error.value)).__cause__) == "OSError(5, 'text')"
