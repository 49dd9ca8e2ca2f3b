"""Profiles that a test makes."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

Write = Callable[[str, str], Path]
"""Writes a profile of that name and text."""
