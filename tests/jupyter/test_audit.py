"""%sandlock_audit in a real kernel, and what is shown of the objects of the package."""

from __future__ import annotations

import html
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, Sandbox
from sandlock.audit import Audit, Call
from sandlock.jupyter.views import as_text
from sandlock.result import HandlerFailures
from tests.jupyter.conftest import Kernel, shown
from tests.support.processes import PATIENCE, MakeFifo

HOSTILE = "<script>alert(1)</script>\x1b[2J\udcff"


def test_audit_shows_what_is_opened_and_executed(kernel: Kernel, tmp_path: Path) -> None:
    (tmp_path / "input").write_text("abc")
    outputs = kernel.run(f"%sandlock_audit -- sh -c 'cat {tmp_path}/input; exit 3'")
    tables = [output for output in outputs if output.output_type == "display_data"]
    assert [shown(output) for output in outputs if output.output_type == "stream"] == ["abc"]
    assert len(tables) == 1, "updates take the place of what was shown"
    for text in (tables[0].data["text/plain"], tables[0].data["text/html"]):
        assert f"{tmp_path}/input" in text
        assert "executed" in text
        assert "the command exited with status 3" in text


def test_table_is_updated_while_the_command_runs(
    kernel: Kernel, make_fifo: MakeFifo, monkeypatch: pytest.MonkeyPatch
) -> None:
    go = make_fifo("go")
    seen: list[str] = []

    def react(text: str) -> None:
        if str(go.path) in text and not seen:
            seen.append(text)
            go.release()  # without it the command does not end

    kernel.on_update(monkeypatch, react)
    # Its output is at its end long before it is.
    assert "exited with status 0" in kernel.text(f"%sandlock_audit -- sh -c 'exec >&- 2>&-; read line < {go.path}'")
    assert re.match(r"\d+ calls, running for \d+ s\n", seen[0])


def test_interrupt_reaches_the_children_of_the_command(kernel: Kernel, make_fifo: MakeFifo) -> None:
    """As from a terminal: a shell that waits for a program does not end before it."""
    started = make_fifo("started")
    command = f"sh -c 'echo > {started.path}; exec sleep 1000'; exit 3"
    outputs = kernel.interrupt(f"%sandlock_audit -- bash -c {shlex.quote(command)}", [started.line])
    assert "the command died of SIGINT" in "".join(map(shown, outputs))


def test_terminal_is_shown_the_last_table_only(tmp_path: Path) -> None:
    lines = "%load_ext sandlock\n%sandlock_audit -- sh -c 'cat /etc/passwd >/dev/null; sleep 0.5'"
    command = [sys.executable, "-m", "IPython", "--no-banner", "--colors=NoColor", "-c", lines]
    environment = {**os.environ, "IPYTHONDIR": str(tmp_path)}
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert re.findall(r"^\d+ calls, (.*)", run.stdout, re.M) == ["the command exited with status 0"]


def test_what_a_command_did_is_escaped() -> None:
    audit = Audit()
    audit.add(Call("openat", 1, (f"/tmp/{HOSTILE}",)))
    page = audit._repr_html_()
    assert html.escape("<script>alert(1)</script>") in page
    assert "<script" not in page
    assert "\\x1b[2J\\udcff" in page
    assert "\x1b" not in as_text(audit)


def test_a_name_with_a_line_break_is_one_line() -> None:
    audit = Audit()
    audit.add(Call("openat", 1, ("/tmp/a\nb\tc",)))
    assert as_text(audit).splitlines()[1:] == [r"  opened  /tmp/a\nb\tc"]


def test_of_many_entries_the_last_are_shown() -> None:
    audit = Audit()
    for number in range(1060):
        audit.add(Call("openat", 1, (f"/tmp/{number}",)))
    lines = as_text(audit).splitlines()
    assert lines[0].startswith("1,060 calls, ")
    assert lines[1:3] == ["  opened  1,010 others, and then", "          /tmp/1010"]
    assert lines[-1] == "          /tmp/1059"


class Broken(Handler):
    on_exception = NotifAction.errno(1)

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        raise ValueError(HOSTILE)


def test_result_shows_output_and_errors_of_handlers(box: Sandbox) -> None:
    result = box.run(["sh", "-c", r"umask; printf '<b>%s\t' end"], handlers=[("umask", Broken())])
    count = len(result.handler_errors)
    assert isinstance(result.handler_errors, HandlerFailures)
    for subject in (result, result.handler_errors, result.handler_errors[0]):
        page, text = subject._repr_html_(), as_text(subject)
        assert "<script" not in page
        assert "<b>end" not in page
        assert "\x1b" not in page + text
        for word in ("Broken", "ValueError", "umask", "NotifAction.errno(1)", r"\x1b[2J"):
            assert word in text
            assert word in page
        assert ("Traceback" in text) == (subject is result.handler_errors[0])
    assert "&lt;b&gt;end" in result._repr_html_()
    assert f"{count} errors of handlers" in as_text(result)


def test_sandbox_shows_what_differs_but_no_secrets() -> None:
    box = Sandbox(fs_readable=["/usr", "/<b>"], env={"TOKEN": "value"}, max_memory="1G")
    page = box._repr_html_()
    assert "/usr\n/&lt;b&gt;" in page
    assert "TOKEN" in page
    assert "value" not in page
    assert [line.split()[0] for line in as_text(box).splitlines()[1:]] == ["fs_readable", "/<b>", "max_memory", "env"]
