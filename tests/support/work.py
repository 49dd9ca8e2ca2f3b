"""Work for other processes, which import it."""

from __future__ import annotations

from sandlock import NotifAction
from tests.support.handlers import Answer
from tests.support.sandboxes import tool_sandbox


def echo(text: str) -> bytes:
    """Run a command with a handler."""
    handlers = [("umask", Answer(NotifAction.returns(0o77)))]
    return tool_sandbox().run(["sh", "-c", f"umask; echo {text}"], handlers=handlers, check=True).stdout


def fail() -> None:
    tool_sandbox().run(["false"], check=True)
