"""Handlers for common wishes."""

from __future__ import annotations

from .faults import FaultHandler, RateLimitHandler, ShortTransferHandler
from .files import VirtualFilesHandler
from .paths import PathAllowHandler, PathDenyHandler, RedirectHandler
from .replay import RecordHandler, ReplayError, ReplayHandler
from .watch import COMMON_PATH_SYSCALLS, AuditPathsHandler, LogSyscallsHandler

__all__ = [
    "COMMON_PATH_SYSCALLS",
    "AuditPathsHandler",
    "FaultHandler",
    "LogSyscallsHandler",
    "PathAllowHandler",
    "PathDenyHandler",
    "RateLimitHandler",
    "RecordHandler",
    "RedirectHandler",
    "ReplayError",
    "ReplayHandler",
    "ShortTransferHandler",
    "VirtualFilesHandler",
]
