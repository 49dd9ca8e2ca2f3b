"""What the table of wrong input cannot show; see test_bad_policies.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from sandlock import NotifAction, PolicyError, Sandbox
from tests.support.handlers import Answer
from tests.support.sandboxes import tool_sandbox


def test_unknown_field() -> None:
    with pytest.raises(TypeError, match="fs_readible"):
        Sandbox(fs_readible=["/usr"])  # type: ignore[call-arg]


def test_number_that_no_system_call_has() -> None:
    with pytest.raises(PolicyError, match=r"syscall_100000 cannot be handled, .*: ENOSYS \(not a known syscall of"):
        tool_sandbox().run(["true"], handlers=[(100_000, Answer())])


@pytest.mark.parametrize(
    "env",
    [{"TOKEN": "s3cret\0"}, {"TOKEN": "s3cret\ud800"}, {"TOKEN": ["s3cret"]}, ["TOKEN=s3cret"]],
    ids=repr,
)
def test_errors_say_nothing_of_values_that_may_be_secret(env: Any) -> None:
    with pytest.raises(PolicyError) as caught:
        tool_sandbox(env=env).run(["true"])
    assert "s3cret" not in str(caught.value)


def test_errors_are_short_whatever_the_value() -> None:
    long = "x" * (1 << 20)
    wrong: dict[str, Any] = {
        "fs_readable": [[long], long],
        "extra_deny_syscalls": [[long], long],
        "net_allow": [[long], long],
        "net_allow_bind": [[long], long],
        "cwd": [long],
        "env": [{long: "\0"}, {long + "=": ""}],
        "disable": [[long], long],
    }
    for field, values in wrong.items():
        for value in values:
            with pytest.raises(PolicyError) as caught:
                Sandbox(**{field: value}).run(["true"])
            assert re.match(rf"{field}\b", str(caught.value))
            assert len(str(caught.value)) < 1000


def test_a_wrong_run_does_not_occupy_the_sandbox(tmp_path: Path) -> None:
    box = tool_sandbox()
    for handlers in ([("ptrace", Answer())], [("openat", 3)]):
        with pytest.raises((PolicyError, TypeError)):
            box.run(["true"], handlers=handlers)  # type: ignore[arg-type]
    assert box.run(["true"], handlers=[("openat", Answer(), NotifAction.continue_())]).success
