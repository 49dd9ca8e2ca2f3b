"""The limits that the kernel keeps for each process."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandlock import ExitReason, Handler, HandlerCtx, NotifAction, PolicyError, Sandbox
from tests.support.processes import run_host
from tests.support.sandboxes import tool_sandbox


def limits_in(box: Sandbox, letter: str) -> list[bytes]:
    return box.run(["sh", "-c", f"ulimit -S{letter}; ulimit -H{letter}"], check=True).stdout.split()


@pytest.mark.parametrize("limit", [3, 10, 64, 1000])
def test_max_open_files(limit: int) -> None:
    if limit < 10:  # a dynamic linker needs one more
        assert tool_sandbox(max_open_files=limit).run(["true"]).exit_code == 127
        return
    assert limits_in(tool_sandbox(max_open_files=limit), "n") == [b"%d" % limit] * 2


def test_max_open_files_counts() -> None:
    opens = "".join(f"exec {fd}</dev/null; " for fd in range(3, 10))
    assert tool_sandbox(max_open_files=10).run(["sh", "-c", opens]).success
    assert not tool_sandbox(max_open_files=9).run(["sh", "-c", opens]).success


class Continue(Handler):
    def handle(self, ctx: HandlerCtx) -> NotifAction:
        return NotifAction.continue_()


def test_max_open_files_below_the_hosts() -> None:
    """The listener of trapped calls is opened in the host's table."""
    with pytest.raises(PolicyError, match=r"max_open_files: 3 is not more than the host has open.*; raise it"):
        tool_sandbox(max_open_files=3).run(["true"], handlers=[("getppid", Continue())])


def test_max_open_files_beyond_the_hosts_is_the_hosts() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert limits_in(tool_sandbox(max_open_files=hard + 1), "n") == [b"%d" % hard] * 2


HOST_LIMIT = """
    import resource, sys
    from tests.support.sandboxes import tool_sandbox
    resource.setrlimit(resource.RLIMIT_NOFILE, (256, 512))
    print(tool_sandbox().run(["sh", "-c", "ulimit -Sn; ulimit -Hn"]).stdout.split())
    print(resource.getrlimit(resource.RLIMIT_NOFILE))
"""


def test_max_open_files_is_the_hosts_by_default_and_the_hosts_own_stays() -> None:
    done = run_host(HOST_LIMIT)
    assert done.stdout.splitlines() == ["[b'256', b'512']", "(256, 512)"], done.stderr


@pytest.fixture
def _host_dumps_core() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.mark.usefixtures("_host_dumps_core")
@pytest.mark.parametrize("no_coredump", [True, False])
def test_no_core_is_dumped(tmp_path: Path, no_coredump: bool) -> None:
    box = tool_sandbox(writable=[tmp_path], cwd=tmp_path, no_coredump=no_coredump)
    assert limits_in(box, "c") == [b"0", b"0"]
    result = box.run(["sh", "-c", "ulimit -c unlimited 2>/dev/null; kill -ABRT $$"])
    assert result.reason == ExitReason.SIGNALED
    assert list(tmp_path.iterdir()) == []
