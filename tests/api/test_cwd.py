"""The working directory of the command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandlock import PolicyError
from sandlock._request import StrPath
from tests.support.processes import run_host
from tests.support.sandboxes import tool_sandbox


def cwd_in(cwd: StrPath | None = None) -> bytes:
    return tool_sandbox(cwd=cwd).run(["sh", "-c", "pwd -P"], check=True).stdout.rstrip(b"\n")


def test_it_is_the_hosts_at_the_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cwd_in() == os.getcwdb()
    monkeypatch.chdir(tmp_path)
    assert cwd_in() == os.fsencode(tmp_path)


@pytest.mark.parametrize("kind", [str, Path, os.fsencode])
def test_it_can_be_chosen(tmp_path: Path, kind: type) -> None:
    assert cwd_in(cwd=kind(tmp_path)) == os.fsencode(tmp_path)


def test_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a")
    assert cwd_in(cwd="b") == os.fsencode(tmp_path / "a" / "b")
    assert cwd_in(cwd="..") == os.fsencode(tmp_path)
    assert cwd_in(cwd=".") == os.fsencode(tmp_path / "a")


def test_not_utf8(tmp_path: Path) -> None:
    folder = os.fsencode(tmp_path) + b"/\xff\xfe"
    os.mkdir(folder)
    assert cwd_in(cwd=folder) == folder
    assert cwd_in(cwd=os.fsdecode(folder)) == folder


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "target").mkdir()
    (tmp_path / "link").symlink_to("target")
    assert cwd_in(cwd=tmp_path / "link") == os.fsencode(tmp_path / "target")


def test_the_host_stays_where_it_is(tmp_path: Path) -> None:
    before = os.getcwd()
    cwd_in(cwd=tmp_path)
    assert os.getcwd() == before


def test_it_grants_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("text")
    assert not tool_sandbox(cwd=tmp_path).run(["cat", "file"]).success
    assert tool_sandbox([tmp_path], cwd=tmp_path).run(["cat", "file"]).stdout == b"text"


def test_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    box = tool_sandbox(cwd=folder)
    folder.rmdir()
    with pytest.raises(PolicyError, match=r"cwd: .*/gone.* does not exist; create it"):
        box.run(["true"])


DELETED_HOST = """
    import os, sys
    from sandlock import PolicyError
    from tests.support.sandboxes import tool_sandbox
    os.chdir(sys.argv[1])
    os.rmdir(sys.argv[1])
    print(tool_sandbox().run(["sh", "-c", "echo works"]).stdout)
    print(tool_sandbox().run(["/bin/pwd"]).success)
    print(tool_sandbox(cwd="/").run(["/bin/pwd"]).stdout)
    for box in tool_sandbox(["relative"]), tool_sandbox(["."]), tool_sandbox(cwd="relative"), tool_sandbox(cwd="."):
        try:
            print(box.run(["true"]).success)
        except PolicyError as error:
            print(str(error).split(":")[0])
"""


def test_host_whose_own_was_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    done = run_host(DELETED_HOST, folder)
    lines = done.stdout.splitlines()
    assert lines[:3] == ["b'works\\n'", "False", "b'/\\n'"], done.stderr
    # The folder is there still, without a name: "." leads to it, and nothing is in it.
    assert lines[3:] == ["fs_readable", "True", "cwd", "True"], done.stderr
