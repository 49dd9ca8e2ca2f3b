"""Run every fuzz target of the Go packages for so many seconds, as many at once as there are CPUs.

The targets are found, not listed. A word picks those that contain it: run_fuzz.py 600 deputy FuzzOpen
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("./pkg/...", "./bindings/core")
TIME_WAS_UP = re.compile(r"^--- FAIL: \w+ \([\d.]+s\)\n    context deadline exceeded\nFAIL$", re.MULTILINE)
"""What a target that has found nothing says now and then before Go 1.27, https://go.dev/issue/75804."""


def main() -> int:
    seconds, words = int(sys.argv[1]), sys.argv[2:]
    targets = [(name, package) for name, package in _targets() if all(word in f"{package} {name}" for word in words)]
    if not targets:
        print(f"no fuzz target has {words} in its name")
        return 1
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        return int(not all(list(pool.map(lambda target: _fuzz(target[0], target[1], seconds), targets))))


def _targets() -> list[tuple[str, str]]:
    """Return names and packages."""
    listed = subprocess.check_output(["go", "test", "-list", "^Fuzz", *PACKAGES], cwd=ROOT, text=True)
    names: list[str] = []
    targets = []
    for line in listed.splitlines():
        if line.startswith("Fuzz"):
            names.append(line)
        elif line.startswith("ok"):  # follows the names of a package
            targets += [(name, line.split()[1]) for name in names]
            names.clear()
    return targets


def _fuzz(name: str, package: str, seconds: int) -> bool:
    """Run a target; what it has found is in the package's testdata then."""
    fuzz = ["-fuzz", f"^{name}$", "-fuzztime", f"{seconds}s", "-fuzzminimizetime", "1s", "-parallel", "1"]
    command = ["go", "test", "-run", "^$", *fuzz, package]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    lines = done.stdout.splitlines()
    last = next((line for line in reversed(lines) if "execs:" in line), "")
    passed = done.returncode == 0 or TIME_WAS_UP.search(done.stdout) is not None
    print(f"{package} {name}: {last}" if passed else done.stdout, flush=True)
    return passed


if __name__ == "__main__":
    sys.exit(main())
