"""The rows of the table, one subject a module."""

from __future__ import annotations

from ..timing import Row
from . import crowds, footprint, layers, notifications, starts, workloads

__all__ = ["all_rows"]


def all_rows() -> list[Row]:
    """Return the rows in the order of the table."""
    return [row for subject in (starts, workloads, notifications, crowds, footprint, layers) for row in subject.rows()]
