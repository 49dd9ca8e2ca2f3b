"""Profiles: policies in TOML files.

A name is looked for in ``~/.config/sandlock/profiles``, then among the built-in profiles: ``gcc`` (also make), ``git``,
``node``, ``pytest``, ``python`` and ``tools``. docs/profiles.md has the format.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._extension import core
from .._policy import policy_of
from .._request import StrPath, command_arguments, text
from ..exceptions import from_core
from ..protection import Protection

if TYPE_CHECKING:
    from ..sandbox import Sandbox

__all__ = ["Profile", "check_policy", "list_profiles", "load_profile", "read_profile", "write_profile"]


@dataclass(frozen=True)
class Profile:
    """What a profile says, with what it extends."""

    files: tuple[Path, ...]
    """The files that it was read from: the named one last, before it what that extends."""
    command: tuple[str, ...]
    """``exec`` and ``args``; empty when the profile names no program."""
    fields: Mapping[str, Any]
    """The fields of a :class:`~sandlock.Sandbox`, those that the files set."""


def read_profile(name_or_path: StrPath) -> Profile:
    """Read a profile, given by its name or, with a slash or the ending ``.toml``, by its path.

    Raises:
        PolicyError: there is none, it cannot be read, or it is wrong; the message has file, line and key.
    """
    answer = _ask(core().core_LoadProfile, text("profile", name_or_path))
    fields = answer["fields"]
    for name in ("allow_degraded", "disable"):
        if name in fields:
            fields[name] = [Protection[p] if isinstance(p, str) else Protection(p) for p in fields[name]]
    return Profile(tuple(map(Path, answer["files"])), tuple(answer["command"]), fields)


def load_profile(name: StrPath) -> Sandbox:
    """Return a sandbox with the fields of a profile; the same as :meth:`Sandbox.from_profile`."""
    from ..sandbox import Sandbox  # which knows profiles itself

    return Sandbox.from_profile(name)


def list_profiles() -> list[str]:
    """Return the names of the user's and the built-in profiles, sorted."""
    names: list[str] = _ask(core().core_ProfileNames, "")
    return names


def write_profile(sandbox: Sandbox, command: Sequence[StrPath] = ()) -> str:
    """Return the text of a profile with the policy of a sandbox, and perhaps a command.

    Its name and what is about functions of Python (``policy_fn``, ``on_exception`` and the like) have no place there.

    Raises:
        PolicyError: a field is wrong, or has text that is not UTF-8.
    """
    request = {"policy": policy_of(sandbox), "command": command_arguments(command) if command else []}
    return str(_call(core().core_WriteProfile, request))


def check_policy(sandbox: Sandbox) -> None:
    """Find out what this host has against the policy of a sandbox, without starting anything.

    Raises:
        PolicyError: a field is wrong, or names a path or a system call that does not exist here.
        ConfinementError: the kernel lacks a protection.
    """
    _call(core().core_CheckPolicy, {"policy": policy_of(sandbox)})


def _call(function: Any, request: dict[str, Any]) -> Any:
    try:
        return function(json.dumps(request))
    except RuntimeError as error:
        raise from_core(error) from None


def _ask(function: Any, name: str) -> Any:
    """Ask the extension about the profiles that there are now."""
    home = os.path.expanduser("~")
    request = {
        "name": name,
        "folder": text("HOME", os.path.join(home, ".config", "sandlock", "profiles")),
        "built_in": text("built_in", Path(__file__).parent),
        "variables": {
            "HOME": text("HOME", home),
            "PYTHON": text("PYTHON", sys.prefix),
            "PYTHON_BASE": text("PYTHON_BASE", sys.base_prefix),
        },
    }
    return _decoded(json.loads(_call(function, request)))


def _decoded(value: Any) -> Any:
    """Turn the strings of an answer, in which each character is a byte, into paths as Python has them."""
    if isinstance(value, str):
        return os.fsdecode(value.encode("latin-1"))
    if isinstance(value, list):
        return [_decoded(item) for item in value]
    if isinstance(value, dict):
        return {_decoded(name): _decoded(item) for name, item in value.items()}
    return value
