"""Runs a cell in a sandboxed interpreter."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._folders import TemporaryFolder
from ..audit import Audit, Call
from ..profiles import read_profile
from ..sandbox import Sandbox
from ..testing.defaults import interpreter_policy
from .follow import follow
from .values import decode, encode

__all__ = ["CellError", "cell_sandbox", "run_cell"]

_MOST = 64 << 20
"""Bytes that a cell's answer may have."""


class CellError(Exception):
    """A sandboxed cell has failed; IPython shows the traceback of the cell in place of that of the magic."""

    def __init__(self, text: str, traceback: str = "") -> None:
        super().__init__(text)
        self._traceback = traceback or f"CellError: {text}"

    def _render_traceback_(self) -> list[str]:
        return self._traceback.splitlines()


class LastValue:
    """What the last expression of a cell was, of which only the representation came back."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def cell_sandbox(profile: str | None, readable: Sequence[str], writable: Sequence[str], net: Sequence[str]) -> Sandbox:
    """Return a sandbox in which the running interpreter works, with what a profile and the options grant."""
    fields: dict[str, Any] = {} if profile is None else dict(read_profile(profile).fields)
    policy = interpreter_policy(readable)
    for name, more in (*policy.items(), ("fs_writable", writable), ("net_allow", net)):
        fields[name] = [*fields.get(name, ()), *more]
    # A cell is not to learn what is in the kernel's environment, such as tokens.
    kept = {name: os.environ[name] for name in ("PYTHONPATH", "LD_LIBRARY_PATH") if name in os.environ}
    return Sandbox(**{"clean_env": True, **fields, "env": {**kept, **fields.get("env", {})}})


class _CellAudit(Audit):
    """Records what a cell does, and not what its interpreter does before."""

    def __init__(self, first: str) -> None:
        super().__init__()
        self._first = first
        self._begun = False

    def add(self, call: Call) -> None:
        if self._begun:
            super().add(call)
        self._begun = self._begun or self._first in call.paths


def run_cell(
    code: str,
    box: Sandbox,
    values: Mapping[str, object],
    out: Sequence[str],
    timeout: float | None,
    updates: bool,
    audit: bool,
) -> tuple[dict[str, object], LastValue | None]:
    """Run a cell, its output streamed to sys.stdout and sys.stderr.

    Args:
        box: from :func:`cell_sandbox`; it is granted a temporary folder, its working directory, in addition.
        values: the variables that the cell begins with.
        out: the names of the variables that are wanted back.
        timeout: seconds after which it is killed.
        updates: whether the frontend can update what it shows.
        audit: whether to show what the cell reaches for.

    Returns:
        The variables, and the last expression.

    Raises:
        CellError: the cell has raised an exception, or its interpreter did not come to its end.
        TypeError: a value cannot pass.
    """
    told = {name: encode(name, value) for name, value in values.items()}
    with TemporaryFolder() as folder:
        work = Path(folder, "work")
        work.mkdir()
        # The cell can write to this one file but not replace it: what is read below is what was opened here.
        with open(Path(folder, "answer"), "x+b") as answer:
            box.fs_writable = [*box.fs_writable, work, answer.name]
            box.env = {**box.env, "TMPDIR": str(work), "PYTHONUTF8": "1"}
            box.cwd = str(work)
            request = {"code": code, "values": told, "out": list(out), "answer": answer.name}
            record = _CellAudit(os.path.realpath(answer.name)) if audit else None
            command = [sys.executable, "-m", "sandlock.jupyter.cell"]
            result = follow(box, command, json.dumps(request).encode(), timeout, updates, record)
            if not result.success:
                raise CellError(f"the sandboxed interpreter {result._ending()}")
            return _checked(answer.read(_MOST + 1), out)


def _text(told: object) -> str:
    """Return text without surrogates, which no message of a kernel can have."""
    return str(told).encode("utf-8", "backslashreplace").decode()


def _checked(data: bytes, out: Sequence[str]) -> tuple[dict[str, object], LastValue | None]:
    """Return what an answer says; whoever wrote it may have been hostile."""
    if len(data) > _MOST:
        raise CellError(f"what the cell wants to hand out takes more than {_MOST >> 20} MiB")
    try:
        answer = json.loads(data)
        if "error" in answer:
            raise CellError(_text(answer["error"]), _text(answer["traceback"]))
        shown = None if answer["shown"] is None else LastValue(_text(answer["shown"]))
        return {name: decode(name, answer["values"][name]) for name in out}, shown
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise CellError(f"the answer of the sandboxed interpreter is malformed: {error!r}") from None
