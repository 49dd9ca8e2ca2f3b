"""Who the command is: user, group and umask."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from sandlock import ConfinementError, ExitReason
from sandlock.presets import PathDenyHandler
from tests.support.handlers import Do
from tests.support.processes import run_host
from tests.support.sandboxes import tool_sandbox


@pytest.mark.parametrize(("uid", "gid"), [(1000, 1001), (0, 0), (65534, 5), (4294967294, 7)])
def test_user_and_group_are_shown(uid: int, gid: int) -> None:
    box = tool_sandbox(uid=uid, gid=gid)
    script = "id -u; id -ru; id -g; id -rg; stat -c '%u %g' /dev/null"
    shown = box.run(["sh", "-c", script], check=True).stdout.split()
    assert shown[:4] == [b"%d" % uid] * 2 + [b"%d" % gid] * 2


def test_root_of_the_host_leaves_its_groups() -> None:
    groups = tool_sandbox(uid=1000, gid=1001).run(["id", "-G"], check=True).stdout.split()
    if os.geteuid() == 0:
        assert groups == [b"1001"]
    else:  # those that are not mapped show as the overflow group
        assert set(groups) <= {b"1001", Path("/proc/sys/kernel/overflowgid").read_bytes().strip()}


def test_files_are_the_hosts(tmp_path: Path) -> None:
    box = tool_sandbox(writable=[tmp_path], uid=1000, gid=1001)
    shown = box.run(["sh", "-c", 'touch "$0/file" && stat -c "%u %g" "$0/file"', tmp_path], check=True).stdout
    assert shown == b"1000 1001\n"
    made = os.stat(tmp_path / "file")
    assert (made.st_uid, made.st_gid) == (os.geteuid(), os.getegid())


@pytest.mark.parametrize("uid", [0, 1000])
def test_nothing_is_gained(uid: int) -> None:
    box = tool_sandbox(["/proc"], uid=uid, gid=uid)
    script = "grep -E '^Cap(Inh|Prm|Eff|Amb)' /proc/self/status; unshare -m true; unshare -U true"
    result = box.run(["sh", "-c", script])
    assert not result.success
    masks = [line.split()[1] for line in result.stdout.splitlines()]
    assert masks == [b"0" * 16] * 4
    assert result.stderr.count(b"Operation not permitted") == 2


def test_the_attempts_would_succeed_outside() -> None:
    """A user namespace gives all capabilities over it to who has made it: it is the sandbox that takes them."""
    command = ["unshare", "-Ur", "sh", "-c", "grep CapEff /proc/self/status; unshare -m true; unshare -U true"]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    assert done.stdout.split()[1] != b"0" * 16


def test_the_tree_ends() -> None:
    result = tool_sandbox(uid=0, gid=0).run(["sh", "-c", "(setsid sleep 1000 &) ; sleep 1000"], timeout=0.2)
    assert result.reason is ExitReason.TIMEOUT


def test_handlers_decide_there(tmp_path: Path) -> None:
    (tmp_path / "open").write_text("open")
    (tmp_path / "secret").write_text("secret")
    handler = PathDenyHandler([f"{tmp_path}/secret"])
    box = tool_sandbox([tmp_path], uid=1000, gid=1000)
    script = 'cat "$0/open" "$0/secret"'
    result = box.run(["sh", "-c", script, tmp_path], handlers=[("openat", handler)])
    assert (result.stdout, result.exit_code) == (b"open", 1)
    assert not result.handler_errors


def test_performed_calls_tell_the_same(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    script = """
        stat -c "%u %g" "$0/file" /etc/passwd
        for ids in 1000:1001 1000 :1001 0:0 7 :7; do chown $ids "$0/file" 2>/dev/null; echo $?; done
        chown 7 "$0/file"
    """
    box = tool_sandbox(writable=[tmp_path], uid=1000, gid=1001)
    bare = box.run(["sh", "-c", script, tmp_path])
    performed = box.run(
        ["sh", "-c", script, tmp_path],
        handlers=[(name, Do(lambda ctx: ctx.perform())) for name in ("statx", "newfstatat", "fchownat")],
    )
    assert (performed.stdout, performed.stderr) == (bare.stdout, bare.stderr)
    assert bare.stdout.startswith(b"1000 1001\n")
    assert not performed.handler_errors
    made = os.stat(tmp_path / "file")
    assert (made.st_uid, made.st_gid) == (os.geteuid(), os.getegid())


@pytest.mark.parametrize("umask", [0, 0o22, 0o777])
def test_umask(tmp_path: Path, umask: int) -> None:
    box = tool_sandbox(writable=[tmp_path], umask=umask)
    box.run(["touch", tmp_path / "file"], check=True)
    assert stat.S_IMODE(os.stat(tmp_path / "file").st_mode) == 0o666 & ~umask


def test_umask_is_the_hosts(tmp_path: Path) -> None:
    before = os.umask(0o31)
    try:
        tool_sandbox(writable=[tmp_path]).run(["touch", tmp_path / "file"], check=True)
        tool_sandbox(writable=[tmp_path], umask=0).run(["true"], check=True)
        assert os.umask(0o31) == 0o31
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(tmp_path / "file").st_mode) == 0o646


def test_a_host_that_may_make_no_namespace(tmp_path: Path) -> None:
    """The setting is of each user namespace: the host is in one of its own."""
    none = 'echo 0 > /proc/sys/user/max_user_namespaces && exec "$@"'
    host = run_host(
        """
        import sys
        from sandlock import ConfinementError
        from tests.support.sandboxes import tool_sandbox

        assert tool_sandbox().run(["true"]).success
        try:
            tool_sandbox(writable=[sys.argv[1]], uid=1, gid=1).run(["touch", sys.argv[1] + "/started"])
        except ConfinementError as error:
            print(error)
        """,
        tmp_path,
        python=["unshare", "-Ur", "sh", "-c", none, "sh", sys.executable],
    )
    assert host.returncode == 0, host.stderr
    for word in ("uid and gid", "user.max_user_namespaces is 0", "leave uid and gid out"):
        assert word in host.stdout
    assert not (tmp_path / "started").exists()
    assert issubclass(ConfinementError, RuntimeError)
