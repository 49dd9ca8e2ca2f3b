"""Sub-interpreters: those that may use the package do, the others get a clear error, and the main one works on."""

from __future__ import annotations

import pytest

from tests.support.processes import run_host

HOST = """
    import asyncio, datetime, hashlib, sys  # CPython 3.12.1 crashes when an isolated one imports them first
    try:
        import _interpreters as interpreters
        execute = interpreters.exec
    except ImportError:
        import _xxsubinterpreters as interpreters
        execute = interpreters.run_string

    def create(kind):
        if kind == "isolated":
            return interpreters.create()
        if hasattr(interpreters, "new_config"):
            return interpreters.create("legacy")
        return interpreters.create(isolated=False)

    CODE = '''if True:
        from sandlock import SandboxError
        from tests.support.handlers import Answer
        from tests.support.sandboxes import tool_sandbox

        for handlers in [], [("umask", Answer())]:
            try:
                print(tool_sandbox().run(["sh", "-c", "umask 0; echo end"], handlers=handlers).stdout, flush=True)
            except (ImportError, SandboxError) as error:
                print(f"{type(error).__name__}: {error}", flush=True)
    '''
    kind, used = sys.argv[1:]
    if used == "used":
        exec(CODE, {})
    for _ in range(2):
        interpreter = create(kind)
        execute(interpreter, CODE)
        interpreters.destroy(interpreter)
    exec(CODE, {})
"""

WORKS = "b'end\\n'"


@pytest.mark.parametrize("used", ["used", "unused"])
@pytest.mark.parametrize("kind", ["isolated", "legacy"])
def test_subinterpreters(python: str, kind: str, used: str) -> None:
    """Isolated ones start no threads up to CPython 3.11, and load no module such as ours from 3.12 on."""
    done = run_host(HOST, kind, used, python=[python])
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    if used == "used":
        assert lines[:2] == [WORKS, WORKS]
        del lines[:2]
    assert lines[4:] == [WORKS, WORKS]
    for plain, handled in (lines[:2], lines[2:4]):
        if kind == "legacy":
            assert (plain, handled) == (WORKS, WORKS)
        elif plain == WORKS:
            assert handled.startswith("SandboxError: a thread that the run needs cannot be started")
        else:
            for line in plain, handled:
                assert line.startswith("ImportError: ")
                assert line.endswith("does not support loading in subinterpreters")
