"""%sandlock_audit in a real kernel, and what is shown of the objects of the package."""

from __future__ import annotations

import html
import os
from pathlib import Path
from typing import Any

import pytest

from sandlock import Handler, HandlerCtx, NotifAction, Sandbox
from sandlock.audit import Audit, Call
from sandlock.jupyter.views import as_text
from tests.jupyter.conftest import Kernel, shown

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
    kernel: Kernel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "go")
    seen: list[str] = []
    process: Any = kernel.client.process_message

    def processed(message: Any, *arguments: Any) -> Any:
        if message["msg_type"] == "update_display_data" and not seen:
            text = message["content"]["data"]["text/plain"]
            if f"{tmp_path}/go" in text:
                seen.append(text)
                (tmp_path / "go").write_text("abc")  # without it the command does not end
        return process(message, *arguments)

    monkeypatch.setattr(kernel.client, "process_message", processed)
    assert "exited with status 0" in kernel.text(f"%sandlock_audit -- cat {tmp_path}/go")
    assert "calls, running" in seen[0]


def test_what_a_command_did_is_escaped() -> None:
    audit = Audit()
    audit.add(Call("openat", 1, (f"/tmp/{HOSTILE}",)))
    page = audit._repr_html_()
    assert html.escape("<script>alert(1)</script>") in page
    assert "<script" not in page
    assert "\\x1b[2J\\udcff" in page
    assert "\x1b" not in as_text(audit)


class Broken(Handler):
    on_exception = NotifAction.errno(1)

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        raise ValueError(HOSTILE)


def test_result_shows_output_and_errors_of_handlers(box: Sandbox) -> None:
    result = box.run(["sh", "-c", "umask; printf '<b>%s' end"], handlers=[("umask", Broken())])
    page = result._repr_html_()
    assert "&lt;b&gt;end" in page
    assert "Broken" in page
    assert "ValueError" in page
    assert "<script" not in page
    assert f"{len(result.handler_errors)} errors of handlers" in as_text(result)


def test_sandbox_shows_what_differs_but_no_secrets() -> None:
    box = Sandbox(fs_readable=["/usr", "/<b>"], env={"TOKEN": "value"}, max_memory="1G")
    page = box._repr_html_()
    assert "/usr\n/&lt;b&gt;" in page
    assert "TOKEN" in page
    assert "value" not in page
    assert [line.split()[0] for line in as_text(box).splitlines()[1:]] == ["fs_readable", "/<b>", "max_memory", "env"]
