"""What the running kernel offers."""

from __future__ import annotations

from ._extension import core
from .errors import LandlockUnavailableError, from_core

__all__ = ["landlock_abi_version", "min_landlock_abi"]


def landlock_abi_version() -> int:
    """Return the kernel's Landlock ABI version, 0 where it has none or has it switched off. See landlock(7)."""
    ask = core().core_LandlockABI
    try:
        return int(ask())
    except RuntimeError as error:
        known = from_core(error)
        if isinstance(known, LandlockUnavailableError):
            return 0
        raise known from None


def min_landlock_abi() -> int:
    """Return the Landlock ABI version that has every protection: 6, Linux 6.12."""
    return 6
