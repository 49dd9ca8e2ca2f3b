"""The package as its users have it: a wheel in a venv, and the tests in a copy without the sources."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COPIED = ("bindings", "docs", "examples", "pkg", "tests")


def copy_checkout(target: Path) -> None:
    """Copy what the tests need, but not the package itself."""
    for name in COPIED:
        shutil.copytree(ROOT / name, target / name, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("README.md", "pyproject.toml"):
        shutil.copy(ROOT / name, target)


def build_wheel(folder: Path) -> Path:
    """Build a wheel of this checkout."""
    options = ["--quiet", "--no-build-isolation", "--no-deps", "--wheel-dir", str(folder)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(ROOT)], check=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def make_venv(base: str, folder: Path, wheel: Path) -> Path:
    """Install a wheel and the test tools into a new venv of the interpreter ``base``, and return its interpreter."""
    python = folder / "bin" / "python"
    # The pip of this interpreter may be too new for that one, which in turn may come without (python3-venv of Debian).
    if subprocess.run([base, "-c", "import ensurepip"], check=False, stderr=subprocess.DEVNULL).returncode == 0:
        subprocess.run([base, "-m", "venv", folder], check=True)
        pip = [str(python), "-m", "pip"]
        subprocess.run([*pip, "install", "--quiet", "--upgrade", "pip>=25.1"], check=True)
    else:
        subprocess.run([base, "-m", "venv", "--without-pip", folder], check=True)
        pip = [sys.executable, "-m", "pip", "--python", str(python)]
    subprocess.run([*pip, "install", "--quiet", "--group", f"{ROOT}/pyproject.toml:test", str(wheel)], check=True)
    return python
