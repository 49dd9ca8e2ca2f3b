"""Other packages that do similar things."""

from __future__ import annotations

import functools
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["PEER_VERSION", "Unavailable", "bubblewrap", "peer_python"]

PEER_VERSION = "0.9.0"

_INSTALL_TIMEOUT = 120


class Unavailable(Exception):  # noqa: N818 (it is not wrong, it is just not here)
    """A peer cannot be measured on this machine; the text says why."""


@functools.cache
def peer_python(folder: Path) -> str:
    """Return the interpreter of an environment with PyPI's package ``sandlock``, made in ``folder`` if need be.

    Raises:
        Unavailable: pip could not install it.
    """
    python = folder / "bin" / "python"
    done = folder / f"sandlock-{PEER_VERSION}"
    if not done.exists():
        _install(folder, python)
        done.touch()
    return str(python)


def _install(folder: Path, python: Path) -> None:
    pip = [str(python), "-m", "pip", "--quiet", "install", "--disable-pip-version-check", f"sandlock=={PEER_VERSION}"]
    for command in ([sys.executable, "-m", "venv", "--clear", str(folder)], pip):
        try:
            subprocess.run(command, check=True, capture_output=True, text=True, timeout=_INSTALL_TIMEOUT)
        except subprocess.CalledProcessError as error:
            reason = (error.stderr or error.stdout).strip().splitlines() or [str(error)]
            raise Unavailable(f"not installed: {reason[-1]}") from error
        except subprocess.TimeoutExpired as error:
            raise Unavailable(f"not installed within {_INSTALL_TIMEOUT} s") from error


@functools.cache
def bubblewrap() -> list[str]:
    """Return the beginning of a command that runs the rest of it in bubblewrap, with the file system as it is.

    Raises:
        Unavailable: there is no bwrap, or it does not work here.
    """
    program = shutil.which("bwrap")
    if program is None:
        raise Unavailable("there is no bwrap on PATH; Debian's package is bubblewrap")
    command = [program, "--bind", "/", "/", "--dev", "/dev", "--proc", "/proc", "--unshare-all", "--die-with-parent"]
    tried = subprocess.run([*command, "/bin/true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        raise Unavailable(f"bwrap fails: {tried.stderr.strip()}")
    return command
