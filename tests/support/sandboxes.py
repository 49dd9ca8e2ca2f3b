"""Sandboxes that let ordinary programs work."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sandlock import Sandbox
from sandlock._request import StrPath

SYSTEM_PATHS = [path for path in ("/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc") if os.path.exists(path)]
"""What the tools of /bin read."""

PYTHON_PATHS = sorted({sys.prefix, sys.base_prefix, str(Path(sys.executable).resolve().parents[1])})
"""What the interpreter of the tests reads beyond that."""


def tool_sandbox(readable: Iterable[StrPath] = (), writable: Iterable[StrPath] = (), **fields: Any) -> Sandbox:
    """Return a sandbox in which the tools of /bin work."""
    return Sandbox(fs_readable=[*SYSTEM_PATHS, *readable], fs_writable=["/dev/null", *writable], **fields)
