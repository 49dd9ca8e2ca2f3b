"""Ordinary work: what people run in sandboxes. Each function makes what it needs in a folder and returns a command."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from .setting import SOURCES

__all__ = ["build", "clone", "compile_library", "find", "load_database"]


def find(folder: Path, quick: bool) -> list[str]:
    """List files. A folder may be unreadable for who has fewer capabilities; that is no failure."""
    where = "/usr/include" if quick else "/usr"
    return ["/bin/sh", "-c", f"find {where} -type f > /dev/null; test $? -le 1"]


def compile_library(folder: Path, quick: bool) -> list[str]:
    """Compile Python's standard library without its tests."""
    library = sysconfig.get_path("stdlib")
    what = os.path.join(library, "json") if quick else library
    skipped = "/(test|tests|idlelib|lib2to3|site-packages)/"
    cache = f"pycache_prefix={folder}/cache"
    return [sys.executable, "-I", "-X", cache, "-m", "compileall", "-q", "-f", "-x", skipped, what]


def build(folder: Path, quick: bool) -> list[str]:
    """Build a C program of many files from scratch."""
    names = [f"part{n}" for n in range(2 if quick else 30)]
    for name in names:
        functions = (f'int {name}_{n}(int x) {{ return x > {n} ? printf("%d\\n", x) : x * {n}; }}' for n in range(20))
        source = ["#include <stdio.h>", "#include <stdlib.h>", "#include <sys/socket.h>", *functions]
        (folder / f"{name}.c").write_text("\n".join(source) + "\n")
    (folder / "main.c").write_text("int main(void) { return 0; }\n")
    objects = " ".join(f"{name}.o" for name in ("main", *names))
    (folder / "Makefile").write_text(f"program: {objects}\n\t$(CC) -o $@ $^\n")
    return ["env", f"TMPDIR={folder}", "make", "--silent", "--always-make", "-C", str(folder)]


def clone(folder: Path, quick: bool) -> list[str]:
    """Clone a repository and check a branch of it out."""
    origin = folder / "origin"
    origin.mkdir()
    environment = ["env", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1"]

    def git(*arguments: str) -> None:
        identity = ["-c", "user.name=bench", "-c", "user.email=bench@localhost", "-c", "init.defaultBranch=main"]
        command = [*environment, "git", *identity, "-C", str(origin), *arguments]
        subprocess.run(command, check=True, capture_output=True)

    def fill(text: str, files: int) -> None:
        for n in range(files):
            file = origin / f"folder{n % 20}" / f"file{n}.txt"
            file.parent.mkdir(exist_ok=True)
            file.write_text(f"{text} {n}\n" * 50)
        git("add", ".")
        git("commit", "--message", text)

    files = 20 if quick else 1000
    git("init")
    fill("first", files)
    git("branch", "old")
    fill("second", files)
    script = 'rm -rf "$0/clone"; git clone --quiet "$0/origin" "$0/clone" && git -C "$0/clone" checkout --quiet old'
    return [*environment, "/bin/sh", "-c", script, str(folder)]


def load_database(folder: Path, quick: bool) -> list[str]:
    """Fill an SQLite database and read it."""
    rows = "1000" if quick else "50000"
    return [sys.executable, "-I", str(SOURCES / "sqlite_load.py"), str(folder / "database"), rows]
