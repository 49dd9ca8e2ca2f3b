"""Confine a program with Landlock and seccomp, and answer its system calls in Python.

>>> from sandlock import Sandbox
>>> Sandbox(fs_readable=["/usr", "/lib", "/lib64", "/bin"]).run(["echo", "hello"]).stdout
b'hello\\n'

Importing the package is cheap; the first run loads the Go runtime.
"""

from __future__ import annotations

from ._version import __version__
from .actions import ExceptionPolicy, NotifAction
from .errors import (
    BranchConflictError,
    BranchError,
    ChildError,
    ConfinementError,
    ForkError,
    HandlerError,
    LandlockUnavailableError,
    MemoryProtectError,
    NotifError,
    PolicyError,
    SandboxError,
    SandlockError,
    SeccompError,
)
from .handler import Handler, HandlerCtx
from .kernel import landlock_abi_version, min_landlock_abi
from .protection import Protection
from .result import ExitReason, HandlerFailure, Result
from .sandbox import Sandbox

__all__ = [
    "BranchConflictError",
    "BranchError",
    "ChildError",
    "ConfinementError",
    "ExceptionPolicy",
    "ExitReason",
    "ForkError",
    "Handler",
    "HandlerCtx",
    "HandlerError",
    "HandlerFailure",
    "LandlockUnavailableError",
    "MemoryProtectError",
    "NotifAction",
    "NotifError",
    "PolicyError",
    "Protection",
    "Result",
    "Sandbox",
    "SandboxError",
    "SandlockError",
    "SeccompError",
    "__version__",
    "landlock_abi_version",
    "min_landlock_abi",
]
