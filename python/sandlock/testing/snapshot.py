"""What each test touches, kept in a file and compared with it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from sandlock.audit import Audit

from .defaults import interpreter_folders

__all__ = ["Snapshot", "touched"]

Touched = Mapping[str, "list[str]"]
"""The files and programs, and the peers, of a test; sorted."""


def touched(audit: Audit, places: Mapping[str, str]) -> dict[str, list[str]]:
    """Return what the calls have touched.

    Python's own files are left out: which test is the first to import a module depends on which tests run.

    Args:
        places: names for the folders that differ from run to run.
    """
    seen: dict[str, set[str]] = {"opened": set(), "executed": set(), "connected": set()}
    seen["opened"].update(_named(filter(_is_of_interest, audit.files), places))
    seen["executed"].update(_named(audit.programs, places))
    seen["connected"].update(audit.peers)
    return {kind: sorted(names) for kind, names in seen.items() if names}


def _is_of_interest(path: str) -> bool:
    if path.endswith((".py", ".pyc", ".pyi", ".so", "pyvenv.cfg")) or "/__pycache__" in path or "/lib/python3" in path:
        return False
    if path.startswith(("/proc/", "/dev/", "/etc/ld.so", "/usr/lib/locale/", "/usr/share/locale/", "/usr/lib/ssl")):
        return False
    return not (os.path.isdir(path) or any(path.startswith(f"{folder}/") for folder in _interpreter()))


def _interpreter() -> list[str]:
    return [folder for folder in interpreter_folders() if "python" in folder or "site-packages" in folder]


def _named(paths: Iterable[str], places: Mapping[str, str]) -> Iterable[str]:
    deepest_first = sorted(places.items(), key=lambda place: -len(place[0]))
    for path in paths:
        for folder, name in deepest_first:
            if path == folder or path.startswith(f"{folder}/"):
                path = f"{name}{path[len(folder) :]}"
                break
        yield path


class Snapshot:
    """What tests touch, by node id; a JSON file."""

    def __init__(self, tests: dict[str, dict[str, list[str]]] | None = None) -> None:
        self.tests = {} if tests is None else tests

    @classmethod
    def load(cls, path: Path) -> Snapshot:
        """Read a file.

        Raises:
            ValueError: it is no snapshot.
        """
        try:
            document = json.loads(path.read_bytes())
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is no JSON: {error}; record it anew with --sandlock-record={path}") from None
        if not isinstance(document, dict) or not all(isinstance(kinds, dict) for kinds in document.values()):
            raise ValueError(f"{path} is no snapshot; record one with --sandlock-record={path}")
        return cls(document)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self.tests, indent=2, sort_keys=True) + "\n")

    def news(self, nodeid: str, seen: Mapping[str, list[str]]) -> list[str]:
        """Return what a test has touched that it had not when the snapshot was made, as lines."""
        known = self.tests.get(nodeid)
        if known is None:
            return [f"{nodeid} is not in the snapshot"]
        return [f"{kind} {name}" for kind, names in seen.items() for name in names if name not in known.get(kind, [])]
