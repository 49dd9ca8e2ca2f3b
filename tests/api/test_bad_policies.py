"""Wrong input and the exact error that it gets, before anything has started: bad_policies.txt is the table.

An entry of the table is a Python expression and, indented below it, the error. To write the errors of today, run
``python -m tests.api.test_bad_policies``; then read the difference.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

import sandlock
from sandlock import Handler, HandlerCtx, NotifAction
from sandlock.presets import PathAllowHandler, PathDenyHandler
from tests.support.handlers import Answer
from tests.support.processes import children, open_fds
from tests.support.sandboxes import tool_sandbox

TABLE = Path(__file__).with_name("bad_policies.txt")
INDENT = "    "


class Entry(NamedTuple):
    expression: str
    error: str


def entries(text: str) -> list[Entry]:
    """Return what the table has between its headings."""
    found: list[Entry] = []
    for line in text.splitlines():
        if line.startswith(INDENT):
            found[-1] = found[-1]._replace(error=line[len(INDENT) :])
        elif line and not line.startswith("#"):
            found.append(Entry(line, ""))
    return found


class Misruled(Answer):
    on_exception = "kill"  # type: ignore[assignment]


class Unlimited(Answer):
    handler_timeout = "long"  # type: ignore[assignment]


class Seeing(Answer):
    observe = 1  # type: ignore[assignment]


class TooMany(Handler):
    def handle(self, ctx: HandlerCtx, more: object) -> NotifAction:  # type: ignore[override]
        raise NotImplementedError


class Attempt:
    """The names that an expression of the table may use."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.marker = folder / "started"
        for name in ("file", "other"):
            (folder / name).write_text("")
        (folder / "link").symlink_to("nowhere")
        (folder / "loop").symlink_to("loop")
        os.mkfifo(folder / "fifo")
        self.names: dict[str, Any] = {
            **{name: getattr(sandlock, name) for name in sandlock.__all__},
            **{kind.__name__: kind for kind in (Answer, Misruled, Unlimited, Seeing, TooMany, Path)},
            **{kind.__name__: kind for kind in (PathAllowHandler, PathDenyHandler)},
            **{"box": self.box, "run": self.run, "popen": self.popen, "handle": self.handle, "profile": self.profile},
            **{"FOLDER": folder, "ALLOW": Answer(), "STDOUT": subprocess.STDOUT, "datetime": datetime.datetime},
        }

    def box(self, **fields: Any) -> object:
        """Run a command in a sandbox with these fields."""
        box = tool_sandbox(writable=[self.folder])
        for name, value in fields.items():
            setattr(box, name, value)
        return box.run(["touch", self.marker])

    def run(self, cmd: Any = None, **options: Any) -> object:
        return tool_sandbox(writable=[self.folder]).run(cmd if cmd is not None else ["touch", self.marker], **options)

    def popen(self, **options: Any) -> object:
        return tool_sandbox(writable=[self.folder]).popen(["touch", self.marker], **options)

    def handle(self, *registrations: Any, **fields: Any) -> object:
        """Run a command with handlers."""
        box = tool_sandbox(writable=[self.folder], **fields)
        return box.run(["touch", self.marker], handlers=list(registrations))

    def profile(self, text: str) -> object:
        """Load a profile of this text."""
        path = self.folder / "profile.toml"
        path.write_bytes(text.encode("latin-1"))
        return sandlock.load_profile(path)

    def error(self, expression: str) -> str:
        """Return the error of an expression, in one line and with the folder's name taken out."""
        try:
            eval(expression, dict(self.names))
        except Exception as error:
            text = re.sub(r" at 0x[0-9a-f]+", "", str(error).replace(str(self.folder), "FOLDER"))
            if not text.isprintable():
                text = repr(text)
            return f"{type(error).__name__}: {text}"
        return "none"


@contextlib.contextmanager
def attempt(folder: Path) -> Iterator[Attempt]:
    """Give the names for one expression; nothing may have started, or be left open, after it."""
    trial = Attempt(folder)
    before = open_fds(), children()
    home = os.environ["HOME"]
    os.environ["HOME"] = str(folder)
    yield trial
    os.environ["HOME"] = home
    assert not trial.marker.exists()
    assert (open_fds(), children()) == before


def warm_up() -> None:
    """Have the Go runtime opened what it opens."""
    tool_sandbox().run(["true"], handlers=[("getppid", Answer())], check=True)


@pytest.fixture(scope="module", autouse=True)
def _loaded() -> None:
    warm_up()


@pytest.mark.parametrize("entry", entries(TABLE.read_text()), ids=lambda entry: entry.expression)
def test_the_exact_error(entry: Entry, tmp_path: Path) -> None:
    with attempt(tmp_path) as trial:
        assert trial.error(entry.expression) == entry.error


def test_the_table_is_whole() -> None:
    found = entries(TABLE.read_text())
    assert len(found) >= 150
    assert len({entry.expression for entry in found}) == len(found)
    assert [entry for entry in found if entry.error in ("", "none")] == []


def rewrite() -> None:
    """Write the table anew, with the errors of today."""
    warm_up()
    lines: list[str] = []
    for line in TABLE.read_text().splitlines():
        if line.startswith(INDENT):
            continue
        lines.append(line)
        if line and not line.startswith("#"):
            with tempfile.TemporaryDirectory() as folder, attempt(Path(folder)) as trial:
                lines.append(INDENT + trial.error(line))
    TABLE.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    rewrite()
