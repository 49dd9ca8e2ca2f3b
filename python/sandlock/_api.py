"""The names of the package, whose own module loads them when the first of them is used."""

from __future__ import annotations

from ._confine import confine
from ._version import __version__
from .actions import ExceptionPolicy, NotifAction
from .exceptions import (
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
from .inputs import inputs
from .kernel import Feature, Kernel, check, landlock_abi_version, min_landlock_abi
from .pipeline import Gather, GatherPipeline, NamedStage, Pipeline, Stage
from .policy_fn import PolicyContext, SyscallEvent
from .ports import parse_ports
from .process import Process
from .profiles import list_profiles, load_profile
from .protection import Protection
from .result import ExitReason, HandlerFailure, Result
from .sandbox import Sandbox
from .stdio import StdioMode

__all__ = [
    "BranchConflictError",
    "BranchError",
    "ChildError",
    "ConfinementError",
    "ExceptionPolicy",
    "ExitReason",
    "Feature",
    "ForkError",
    "Gather",
    "GatherPipeline",
    "Handler",
    "HandlerCtx",
    "HandlerError",
    "HandlerFailure",
    "Kernel",
    "LandlockUnavailableError",
    "MemoryProtectError",
    "NamedStage",
    "NotifAction",
    "NotifError",
    "Pipeline",
    "PolicyContext",
    "PolicyError",
    "Process",
    "Protection",
    "Result",
    "Sandbox",
    "SandboxError",
    "SandlockError",
    "SeccompError",
    "Stage",
    "StdioMode",
    "SyscallEvent",
    "__version__",
    "check",
    "confine",
    "inputs",
    "landlock_abi_version",
    "list_profiles",
    "load_profile",
    "min_landlock_abi",
    "parse_ports",
]
