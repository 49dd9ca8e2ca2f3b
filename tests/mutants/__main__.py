"""Switch off one protection at a time in a copy of the checkout, and see that the test of it fails.

python -m tests.mutants [WORD]: all of tests/mutants/table.py, or those with the word in their name. A mutant whose test
passes, or is skipped for this user, has survived: then the exit status is 1. It takes some ten seconds a mutant.
"""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.mutant import Mutant
from tests.mutants.table import MUTANTS
from tests.support.processes import ROOT, children

PR_SET_CHILD_SUBREAPER = 36
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", "dist", "__pycache__", ".*_cache")
PATIENCE = 120
"""Seconds after which a test that hangs has failed."""


def main(words: Sequence[str]) -> int:
    mutants = [mutant for mutant in MUTANTS if all(word in mutant.protection for word in words)]
    # What a test that fails leaves running becomes a child of this process.
    ctypes.CDLL(None, use_errno=True).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with tempfile.TemporaryDirectory(prefix="sandlock-mutants-") as name:
        checkout = Path(name, "checkout")
        shutil.copytree(ROOT, checkout, symlinks=True, ignore=LEFT_OUT)
        build(checkout)
        sound = [test for test in {mutant.test: None for mutant in mutants} if not fails(test, checkout)]
        survived = 0
        for mutant in mutants:
            outcome = judge(mutant, checkout) if mutant.test in sound else "FAILS ANYWAY"
            survived += outcome != "killed"
            print(f"{outcome:12}  {mutant.protection}  ({mutant.test})", flush=True)
    print(f"{len(mutants) - survived} of {len(mutants)} mutants killed")
    return int(survived > 0)


def judge(mutant: Mutant, checkout: Path) -> str:
    source = checkout / mutant.file
    text = source.read_text()
    source.write_text(text.replace(mutant.before, mutant.after, 1))
    try:
        build(checkout)
        return "killed" if fails(mutant.test, checkout) else "SURVIVED"
    except subprocess.CalledProcessError as e:
        print(e.stdout)
        return "NOT BUILT"
    finally:
        source.write_text(text)


def build(checkout: Path) -> None:
    command = [sys.executable, "-m", "bindings.build"]
    subprocess.run(command, cwd=checkout, check=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def fails(test: str, checkout: Path) -> bool:
    package, _, name = test.partition("::")
    if package.startswith("pkg/"):
        command = ["go", "test", "-count=1", "-run", f"^{name}$", f"./{package}"]
    else:
        command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", test]
    environment = {**os.environ, "PYTHONPATH": str(checkout / "python"), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(command, cwd=checkout, env=environment, capture_output=True, text=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return True
    finally:
        end_what_is_left()
    if done.returncode not in (0, 1):
        raise RuntimeError(f"{test} was not run:\n{done.stdout}{done.stderr}")
    return done.returncode == 1


def end_what_is_left() -> None:
    while left := children():
        for pid in left:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
