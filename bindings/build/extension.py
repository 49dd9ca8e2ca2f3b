"""The steps from the Go package bindings/core to python/sandlock/_core.abi3.so."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from bindings.build import edits, signatures

ROOT = Path(__file__).resolve().parents[2]
TOOLS = ROOT / "build" / "bin"
# The underscore hides the generated package from ./... patterns.
GENERATED = ROOT / "build" / "_gen" / "core"
LIBRARY = ROOT / "build" / "_core.abi3.so"
EXTENSION = ROOT / "python" / "sandlock" / "_core.abi3.so"


class BuildError(Exception):
    """A step of the build failed."""


def build() -> Path:
    """Build the extension module in place, for the GOARCH and CC of the environment."""
    env = _cgo_environment()
    digest = _digest_of_inputs()
    stamp = GENERATED / "inputs.sha256"
    if not stamp.exists() or stamp.read_text() != digest:
        _build_tools()
        _generate(env)
        stamp.write_text(digest)
    _compile(env)
    _replace(LIBRARY, EXTENSION)
    return EXTENSION


def architecture() -> str:
    """Return the target's architecture as wheel tags spell it."""
    goarch = _run("go", "env", "GOARCH").strip()
    return {"amd64": "x86_64", "arm64": "aarch64"}[goarch]


def _digest_of_inputs() -> str:
    """Hash everything that decides what the generators write."""
    digest = hashlib.sha256(version("pybindgen").encode())
    sources = [ROOT / "go.mod", *_functions(), *sorted(Path(__file__).parent.glob("*.py"))]
    for source in sources:
        digest.update(f"{source.relative_to(ROOT)}\0".encode())
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _functions() -> list[Path]:
    """Return the files whose functions become those of the extension module."""
    core = ROOT / "bindings" / "core"
    return sorted(set(core.glob("*.go")) - set(core.glob("*_test.go")))


def _cgo_environment() -> dict[str, str]:
    """Return the environment that compiles C with the headers of the running Python."""
    include = Path(sysconfig.get_path("include"))
    if not (include / "Python.h").exists():
        raise BuildError(f"Python.h is missing in {include}: install the headers of {sys.executable}")
    flags = os.environ.get("CGO_CFLAGS", "-O2 -g")
    return {**os.environ, "CGO_ENABLED": "1", "CGO_CFLAGS": f'{flags} "-I{include}"'}


def _build_tools() -> None:
    """Build the generators for this machine, whatever the extension's target is."""
    host = {k: v for k, v in os.environ.items() if k not in {"GOOS", "GOARCH", "CC"}}
    tools = ["github.com/go-python/gopy", "golang.org/x/tools/cmd/goimports"]
    _run("go", "build", "-o", f"{TOOLS}/", *tools, env={**host, "CGO_ENABLED": "0"})


def _generate(env: Mapping[str, str]) -> None:
    """Write the Go and the C half of the extension module into GENERATED."""
    shutil.rmtree(GENERATED, ignore_errors=True)
    # gopy itself goes on when the package does not compile.
    _run("go", "build", "./bindings/core", env=env)
    paths = [f"-vm={sys.executable}", f"-output={GENERATED}"]
    options = ["-name=core", "-dynamic-link=true", "-no-make=true", "-no-warn=true"]
    _run(TOOLS / "gopy", "gen", *paths, *options, "./bindings/core", env=env)
    script = GENERATED / "build.py"
    functions = "".join(source.read_text() for source in _functions())
    signatures.check(functions, script.read_text())
    _run(sys.executable, script, cwd=GENERATED)
    for file, changes in (("core.go", edits.GO_EDITS), ("core.c", edits.C_EDITS)):
        path = GENERATED / file
        path.write_text(edits.apply_all(changes, path.read_text(), file))
    _run(TOOLS / "goimports", "-w", GENERATED / "core.go")


def _compile(env: Mapping[str, str]) -> None:
    # -buildvcs=false: Git need not be there, nor trust the folder. -trimpath: no folder's name
    # gets into the binary.
    # netgo: Go's own resolver, which needs no libresolv.
    flags = ["-buildmode=c-shared", "-buildvcs=false", "-trimpath", "-tags=netgo", "-ldflags=-s -w"]
    _run("go", "build", *flags, "-o", LIBRARY, GENERATED, env=env)


def _replace(source: Path, target: Path) -> None:
    """Put source in target's place at once: a running Python may have target mapped."""
    temporary = target.with_name(f".{target.name}.new")
    shutil.copy(source, temporary)
    temporary.replace(target)


def _run(*command: str | Path, cwd: Path = ROOT, env: Mapping[str, str] | None = None) -> str:
    """Run command and return its output, which a failure shows in full."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=env,
            check=False,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
    except FileNotFoundError as error:
        raise BuildError(f"{command[0]} was not found; it is needed to build sandlock") from error
    if done.returncode:
        raise BuildError(f"{' '.join(map(str, command))} failed:\n{done.stdout}")
    return done.stdout
