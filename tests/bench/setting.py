"""What a row is prepared with: programs, folders and hosts that are gone after it."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from .host import Host
from .peers import PEER_VERSION, Unavailable, bubblewrap, peer_python

__all__ = ["BUBBLEWRAP", "PEER", "SOURCES", "Setting", "readable"]

PEER = f"sandlock {PEER_VERSION}"
BUBBLEWRAP = "bubblewrap"

SOURCES = Path(__file__).resolve().parent
_ROOT = SOURCES.parents[1]
BUILD = _ROOT / "build" / "bench"


def readable() -> list[str]:
    """Return what measured sandboxes may read, as far as this system has it."""
    system = ["/usr", "/lib", "/lib64", "/bin", "/etc"]
    interpreter = {sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parents[1])}
    return [path for path in (*system, *sorted(interpreter), str(BUILD)) if os.path.exists(path)]


def _available_memory() -> int:
    """Return the bytes that a process can take without swapping; see proc_meminfo(5)."""
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("MemAvailable:")) * 1024


class Setting(contextlib.ExitStack):
    """The surroundings of one row. Leaving it ends the hosts and removes the folders."""

    def __init__(self, quick: bool, peers: bool) -> None:
        super().__init__()
        self.quick = quick
        self._peers = peers

    def size(self, full: int, quick: int) -> int:
        """Return how large something is made."""
        return quick if self.quick else full

    def folder(self) -> Path:
        """Return a new folder."""
        return Path(self.enter_context(tempfile.TemporaryDirectory(prefix="sandlock-bench-")))

    def host(self, resident: int = 0, descriptors: int = 0) -> Host:
        """Return a new process that uses our package; see Host.

        Raises:
            Unavailable: this machine cannot have a process of that size.
        """
        if resident > _available_memory() * 0.8:
            raise Unavailable(f"there are no {resident >> 20} MiB of free memory")
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        if most != resource.RLIM_INFINITY and descriptors > most * 0.9:
            raise Unavailable(f"a process may have {most} descriptors")
        return self.enter_context(Host(sys.executable, resident, descriptors))

    def peer(self) -> Host:
        """Return a new process that uses the peer.

        Raises:
            Unavailable: it cannot be installed, or is not wanted.
        """
        self._check_wanted()
        return self.enter_context(Host(peer_python(BUILD / "peer")))

    def bubblewrap(self) -> list[str]:
        """Return the beginning of a command that runs the rest of it in bubblewrap.

        Raises:
            Unavailable: it is not installed, does not work here, or is not wanted.
        """
        self._check_wanted()
        return bubblewrap()

    def _check_wanted(self) -> None:
        if not self._peers:
            raise Unavailable("not asked for")

    def program(self, name: str) -> str:
        """Return a program that is compiled from ``name.c`` of this folder, linked statically."""
        source, program = SOURCES / f"{name}.c", BUILD / name
        if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
            BUILD.mkdir(parents=True, exist_ok=True)
            options = ["-O2", "-Wall", "-Wextra", "-Werror", "-pthread", "-static"]
            subprocess.run(["cc", *options, "-o", program, source], check=True)
        return str(program)

    def library(self, name: str) -> str:
        """Return a library that is built from the Go package ``name`` in this folder.

        Raises:
            Unavailable: Go, or what the package needs, is missing.
        """
        if shutil.which("go") is None or not (_ROOT / "go.mod").exists():
            raise Unavailable("building it needs Go, and the whole checkout")
        library = BUILD / f"{name}.so"
        build = [
            "go",
            "build",
            "-buildmode=c-shared",
            "-trimpath",
            "-o",
            str(library),
            f"./{(SOURCES / name).relative_to(_ROOT)}",
        ]
        subprocess.run(build, cwd=_ROOT, check=True)
        return str(library)
