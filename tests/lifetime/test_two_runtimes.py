"""Another library that brings a Go runtime into the host's process."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.processes import host_environment, run_host

LIBRARY = """
package main

import "C"

//export Work
func Work() C.int {
	done := make(chan int)
	for i := range 100 {
		go func() { done <- len(make([]byte, 1<<16)) * 0 + i }()
	}
	sum := 0
	for range 100 {
		sum += <-done
	}
	return C.int(sum)
}

func main() {}
"""

HOST = """
    import ctypes, signal, sys, threading
    from sandlock import Handler, NotifAction
    from tests.support.sandboxes import tool_sandbox

    class Works(Handler):
        def handle(self, ctx):
            return NotifAction.returns(library.Work() % 0o777)

    def run():
        results.append(tool_sandbox().run(["sh", "-c", "umask; umask"], handlers=[("umask", Works())]).stdout.split())

    results = []
    if sys.argv[2] == "after":
        tool_sandbox().run(["true"], check=True)
    library = ctypes.CDLL(sys.argv[1])
    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads: thread.start()
    for _ in range(50): assert library.Work() == 4950
    for thread in threads: thread.join()
    print(results == [[b"%04o" % (4950 % 0o777)] * 2] * 4)
    signal.raise_signal(signal.SIGINT)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    go = shutil.which("go")
    if go is None or shutil.which("gcc") is None:
        pytest.skip("go and gcc are not both on PATH")
    folder = tmp_path_factory.mktemp("library")
    (folder / "library.go").write_text(LIBRARY)
    command = [go, "build", "-buildmode=c-shared", "-o", "library.so", "library.go"]
    environment = host_environment(CGO_ENABLED="1", GOFLAGS="", GO111MODULE="off")
    subprocess.run(command, cwd=folder, env=environment, check=True, capture_output=True, timeout=110)
    return folder / "library.so"


@pytest.mark.parametrize("loaded", ["before", "after"])
def test_another_go_library(library: Path, loaded: str) -> None:
    """It works from handlers and beside them, and an interrupt is still Python's."""
    done = run_host(HOST, library, loaded)
    assert (done.stdout, done.returncode) == ("True\n", -2), done.stderr
    assert "KeyboardInterrupt" in done.stderr
