"""Run the tests once more as an unprivileged user, where the current user is root.

The checkout, the interpreter and the home folder of root may be out of that user's reach. So the
tests run from a copy, against the built wheel, in a venv of an interpreter that the user can run.
Arguments are handed on to pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.installed import build_wheel, copy_checkout, make_venv  # noqa: E402

NOBODY = 65534


def main() -> int:
    if os.geteuid() != 0:
        print("not root: the tests ran as an unprivileged user already")
        return 0
    os.umask(0o022)
    with tempfile.TemporaryDirectory(prefix="sandlock-") as name:
        stage = Path(name)
        stage.chmod(0o755)
        home = stage / "home"
        home.mkdir()
        copy_checkout(stage / "checkout")
        wheel = build_wheel(stage / "dist")
        python = make_venv(_reachable_python(), stage / "venv", wheel)
        go_tests = _build_go_tests(stage / "go")
        for path in (home, stage / "checkout", *(stage / "checkout").rglob("*")):
            os.lchown(path, NOBODY, NOBODY)
        env = {
            "HOME": str(home),
            "LANG": "C.UTF-8",
            "PATH": f"{python.parent}:{os.defpath}",
            "SANDLOCK_WHEEL": str(wheel),
            "TMPDIR": str(home),
        }
        for package, program in go_tests.items():
            print(f"as uid {NOBODY}: go test ./{package}", flush=True)
            if _run_as_nobody([str(program)], stage / "checkout" / package, env):
                return 1
        print(f"as uid {NOBODY}: pytest", flush=True)
        pytest = [str(python), "-m", "pytest", "-p", "no:cacheprovider", *sys.argv[1:]]
        return _run_as_nobody(pytest, stage / "checkout", env)


def _reachable_python() -> str:
    """Return an interpreter that NOBODY can run, the current one if possible."""
    for python in _pythons():
        usable = "import sys, venv; sys.exit(sys.version_info < (3, 9))"
        try:
            if _run_as_nobody([python, "-I", "-c", usable], Path("/"), {}) == 0:
                return python
        except OSError:
            continue
    raise SystemExit(f"uid {NOBODY} can run no CPython >= 3.9 of this machine")


def _pythons() -> Iterator[str]:
    yield f"{sys.base_prefix}/bin/python3"
    for name in ("python3", *(f"python3.{minor}" for minor in range(9, 20))):
        for folder in f"/usr/local/bin:{os.defpath}".split(":"):
            yield f"{folder}/{name}"


def _build_go_tests(folder: Path) -> dict[str, Path]:
    """Compile the Go tests and return the program of each package that has some."""
    has_tests = "{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}"
    tested = ("./pkg/...", "./bindings/core")
    listed = subprocess.check_output(["go", "list", "-f", has_tests, *tested], cwd=ROOT, text=True)
    packages = [str(Path(line).relative_to(ROOT)) for line in listed.splitlines()]
    folder.mkdir()
    build = ["go", "test", "-race", "-c", "-o", f"{folder}/"]
    subprocess.run([*build, *(f"./{package}" for package in packages)], cwd=ROOT, check=True)
    return {package: folder / f"{Path(package).name}.test" for package in packages}


def _run_as_nobody(command: list[str], cwd: Path, env: dict[str, str]) -> int:
    return subprocess.run(command, cwd=cwd, env=env, check=False, user=NOBODY, group=NOBODY, extra_groups=[]).returncode


if __name__ == "__main__":
    sys.exit(main())
