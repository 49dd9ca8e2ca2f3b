"""Temporary folders of a host that was killed are gone when the next one makes its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

from tests.support.processes import PATIENCE, host_command, host_environment, run_host

# As the tests of a sandboxed interpreter, and the cells of a notebook, have them.
HOST = """
    import sys
    from sandlock._folders import TemporaryFolder

    with TemporaryFolder() as name:
        print(name, flush=True)
        sys.stdin.readline()
"""

OTHERS = {"sandlock-notes", "sandlock-run-mine"}
"""Folders that are somebody else's."""


def test_the_next_start_removes_them(tmp_path: Path) -> None:
    environment = host_environment(TMPDIR=str(tmp_path))
    with contextlib.ExitStack() as stack:

        def host() -> tuple[subprocess.Popen[str], str]:
            process = subprocess.Popen(
                host_command(HOST), env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
            )
            stack.callback(process.communicate)
            stack.callback(process.kill)
            assert process.stdout is not None
            return process, os.path.basename(process.stdout.readline().strip())

        def next_start() -> set[str]:
            done = run_host(HOST, env=environment, stdin=subprocess.DEVNULL)
            assert done.returncode == 0, done.stderr
            return set(os.listdir(tmp_path))

        (killed, left), (_, used) = host(), host()
        killed.kill()
        killed.wait(PATIENCE)
        for name in OTHERS:
            (tmp_path / name).mkdir()
        assert next_start() == {left, used, *OTHERS}, "it is too young to be sure"
        for name in os.listdir(tmp_path):
            os.utime(tmp_path / name, (0, 0))
        assert next_start() == {used, *OTHERS}
