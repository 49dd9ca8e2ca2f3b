"""Run the tests with every CPython that the package supports and this machine has, against the wheel in dist/.

Arguments are handed on to pytest.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.installed import copy_checkout, make_venv  # noqa: E402
from tests.support.interpreters import VERSIONS, interpreter  # noqa: E402


def main() -> int:
    (wheel,) = (ROOT / "dist").glob(f"*_{os.uname().machine}.whl")
    failed = []
    for version in VERSIONS:
        base = interpreter(version)
        if base is None:
            print(f"CPython {version}: not found", flush=True)
            continue
        print(f"CPython {version}: pytest", flush=True)
        with tempfile.TemporaryDirectory(prefix="sandlock-interpreters-") as name:
            copy_checkout(Path(name) / "checkout")
            python = make_venv(base, Path(name) / "venv", wheel)
            pytest = [str(python), "-m", "pytest", "-p", "no:cacheprovider", *sys.argv[1:]]
            env = {**os.environ, "SANDLOCK_WHEEL": str(wheel)}
            if subprocess.run(pytest, cwd=Path(name) / "checkout", env=env, check=False).returncode:
                failed.append(version)
    print(f"failed: {', '.join(failed) or 'none'}")
    return bool(failed)


if __name__ == "__main__":
    sys.exit(main())
