"""The part of a request that says what the command may do."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ._request import mapping, moment, plain, ports, shown, text, texts
from .exceptions import PolicyError
from .protection import Protection

if TYPE_CHECKING:
    from .sandbox import Sandbox

__all__ = ["policy_of"]

_PROTECTIONS = list(Protection)


_LIMITS = ("max_open_files", "max_memory", "max_disk", "max_processes", "max_cpu", "cpu_cores", "num_cpus")


def policy_of(box: Sandbox) -> dict[str, Any]:
    """Return the policy of a sandbox as it is now, by the names of its fields. What is empty or off is left out."""
    policy: dict[str, Any] = {}
    for name in (
        "fs_readable",
        "fs_writable",
        "fs_denied",
        "extra_deny_syscalls",
        "extra_allow_syscalls",
        "net_allow",
        "net_deny",
    ):
        policy[name] = texts(name, getattr(box, name))
    for name in ("net_allow_bind", "net_deny_bind"):
        policy[name] = ports(name, getattr(box, name))
    for name in ("allow_degraded", "disable"):
        policy[name] = _protections(name, getattr(box, name))
    policy["env"] = mapping("env", box.env)
    for name in ("clean_env", "no_coredump", "deterministic_dirs", "no_randomize_memory", "no_huge_pages"):
        policy[name] = getattr(box, name)
        if not isinstance(policy[name], bool):
            raise PolicyError(f"{name}: {policy[name]!r} is no bool; write True or False")
    policy = {name: value for name, value in policy.items() if value}
    if box.cwd is not None:
        policy["cwd"] = text("cwd", box.cwd)
        if not policy["cwd"]:
            raise PolicyError("cwd: the path is empty; use None for the host's working directory")
    for name in (*_LIMITS, "uid", "gid", "umask"):
        if getattr(box, name) is not None:
            policy[name] = plain(name, getattr(box, name))
    if box.time_start is not None:
        policy["time_start"] = moment("time_start", box.time_start)
    if box.random_seed is not None:
        policy["random_seed"] = plain("random_seed", box.random_seed)
    return policy


def _protections(name: str, values: object) -> list[int]:
    if isinstance(values, (str, bytes, int)) or not isinstance(values, Sequence):
        raise PolicyError(
            f"{name}: {shown(values)} is no list of Protection values; write [Protection.NET_TCP] for one"
        )
    numbers = []
    for i, value in enumerate(values):
        if isinstance(value, bool) or value not in _PROTECTIONS:
            known = ", ".join(protection.name for protection in Protection)
            raise PolicyError(f"{name}[{i}]: {shown(value)} is no Protection; there are {known}")
        numbers.append(int(value))
    return numbers
