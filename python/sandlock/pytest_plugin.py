"""Fixtures and a marker for pytest; installing sandlock is enough. See docs/pytest.md."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Callable

import pytest

if TYPE_CHECKING:
    from sandlock import Sandbox
    from sandlock.audit import Audit


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("sandlock", "sandboxes")
    group.addoption("--sandlock", action="store_true", help="run every test in a sandboxed interpreter")
    group.addoption(
        "--sandlock-record", metavar="FILE", help="run every test in a sandbox, and keep what it touches in FILE"
    )
    group.addoption(
        "--sandlock-check", metavar="FILE", help="run every test in a sandbox; fail those that touch more than in FILE"
    )


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line(
        "markers",
        "sandlock(net=False, readable=[], writable=[], timeout=None): run the test in a sandboxed interpreter",
    )
    record = config.option.sandlock_record
    if not record or hasattr(config, "workerinput"):  # of pytest-xdist: the session that has started it sees to this
        return
    from sandlock._writable import check_writable

    try:
        check_writable(record)
    except OSError as error:
        raise pytest.UsageError(f"--sandlock-record: {record} cannot be written: {error.strerror}") from None
    if getattr(config.option, "dist", "no") != "no":
        from sandlock.testing.session import RecordedByWorkers

        config.pluginmanager.register(RecordedByWorkers(config), "sandlock-recorded")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Load what runs tests in sandboxes, where there are some to run, and this is not the sandbox itself."""
    option = config.option
    everything = option.sandlock or option.sandlock_record or option.sandlock_check
    wanted = everything or any(item.get_closest_marker("sandlock") for item in items)
    if wanted and not config.pluginmanager.has_plugin("sandlock-child"):
        from sandlock.testing.session import SandboxedTests

        try:
            config.pluginmanager.register(SandboxedTests(config), "sandlock-tests")
        except (OSError, ValueError) as error:
            raise pytest.UsageError(f"--sandlock-check: {error}") from None


@pytest.fixture
def sandlock(tmp_path: Path) -> Iterator[Callable[..., Sandbox]]:
    """Make sandboxes: ``sandlock(**policy)``. What still runs in them after the test is killed.

    By default the running interpreter works in them, ``tmp_path`` is the working directory and can be written, and
    there is no network. What the policy says is added to that.
    """
    with contextlib.ExitStack() as boxes:

        def make(**policy: Any) -> Sandbox:
            return boxes.enter_context(_sandbox(tmp_path, policy))

        yield make


@pytest.fixture
def sandlock_audit(tmp_path: Path) -> Auditor:
    """Run commands and record what they touch: ``sandlock_audit.run(cmd, **policy)`` gives an :class:`Audit`."""
    return Auditor(tmp_path)


class Auditor:
    """Runs commands in sandboxes like those of the fixture ``sandlock``, and records their calls."""

    def __init__(self, tmp_path: Path) -> None:
        self._tmp_path = tmp_path

    def run(
        self, cmd: Any, *, timeout: float | None = None, input: bytes | None = None, check: bool = False, **policy: Any
    ) -> Audit:
        from sandlock.audit import audit

        return audit(cmd, _sandbox(self._tmp_path, policy), timeout=timeout, input=input, check=check)


def _sandbox(tmp_path: Path, policy: Mapping[str, Any]) -> Sandbox:
    from sandlock import Sandbox
    from sandlock.testing.defaults import interpreter_policy

    lists = interpreter_policy(policy.get("fs_readable", ()))
    return Sandbox(
        **{
            "cwd": tmp_path,
            **policy,
            "fs_readable": lists["fs_readable"],
            "fs_writable": [*lists["fs_writable"], tmp_path, *policy.get("fs_writable", ())],
        }
    )
