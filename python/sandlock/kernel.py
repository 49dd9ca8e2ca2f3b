"""What the running kernel offers."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._extension import core
from ._shown import aligned
from .exceptions import LandlockUnavailableError, from_core
from .protection import Protection

__all__ = ["Feature", "Kernel", "check", "degraded", "landlock_abi_version", "min_landlock_abi", "note_degraded"]

_log = logging.getLogger("sandlock")


@dataclass(frozen=True)
class Feature:
    """One thing that a kernel may offer."""

    name: str
    available: bool
    linux: str
    """The first release that can have it."""
    without: str
    """What its lack means."""
    detail: str
    """What was found, where that says more; else empty."""


@dataclass(frozen=True, repr=False)
class Kernel:
    """What the running kernel offers a sandbox; shown as a table. See :func:`check`."""

    release: str
    """As in ``uname -r``."""
    landlock_abi: int
    """Landlock's version, see landlock(7); 0 where there is none."""
    landlock: str
    """Why Landlock is missing; else empty."""
    protections: tuple[Feature, ...]
    """Those of :class:`Protection`, in the order of their numbers."""
    features: tuple[Feature, ...]
    """What else matters to a sandbox: ``user_notification``, ``wait_killable``, ``sync_wake_up`` (seccomp_unotify(2)),
    ``child_memory`` (process_vm_readv(2)), ``pidfd`` and ``pidfd_thread`` (pidfd_open(2)), ``pidfd_getfd``
    (pidfd_getfd(2)), ``tree_kill`` (kill(2) within Landlock's signal scope), ``cgroup`` (cgroups(7), "Delegation": made
    here, with controllers for memory and CPU time) and ``user_namespaces`` (user_namespaces(7))."""

    @property
    def missing(self) -> tuple[Protection, ...]:
        """The protections that every run must have in ``allow_degraded`` or ``disable`` here."""
        return tuple(Protection[each.name] for each in self.protections if not each.available)

    def __getitem__(self, name: str) -> Feature:
        known = {feature.name: feature for feature in (*self.protections, *self.features)}
        if name not in known:
            raise KeyError(f"{name!r} is nothing that is looked for; these are: {', '.join(known)}")
        return known[name]

    def __str__(self) -> str:
        abi = f"Landlock ABI {self.landlock_abi}" if self.landlock_abi else self.landlock
        return "\n".join([f"Linux {self.release}, {abi}", "", *aligned(self._rows())])

    __repr__ = __str__

    def _rows(self) -> list[tuple[str, ...]]:
        rows: list[tuple[str, ...]] = [("", "", "since", "without it")]
        for feature in (*self.protections, *self.features):
            remark = feature.without + (f" ({feature.detail})" if feature.detail else "")
            rows.append((feature.name, "yes" if feature.available else "NO", f"Linux {feature.linux}", remark))
        return rows


@functools.cache
def check() -> Kernel:
    """Find out what the running kernel offers, once for the process: by use, not by the kernel's version.

    >>> import sandlock
    >>> sandlock.check()["FS_REFER"].available
    True
    """
    try:
        report: dict[str, Any] = json.loads(core().core_Kernel())
    except RuntimeError as error:
        raise from_core(error) from None
    for part in ("protections", "features"):
        report[part] = tuple(Feature(**feature) for feature in report[part])
    return Kernel(**report)


def degraded(handle: int) -> list[Protection]:
    """Return the protections that a run does without, and log them."""
    missing = [Protection(number) for number in json.loads(core().core_Degraded(handle))]
    note_degraded(missing)
    return missing


def note_degraded(missing: Sequence[Protection]) -> None:
    """Log what is missing: nothing degrades silently."""
    if missing:
        names = ", ".join(protection.name for protection in missing)
        _log.warning("this kernel lacks protections, and allow_degraded does without them: %s", names)


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
