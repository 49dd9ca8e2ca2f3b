"""Ordinary programs work under the presets, with every call that takes a path."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

from sandlock import Handler, Sandbox
from sandlock._request import StrPath
from sandlock.presets import COMMON_PATH_SYSCALLS, AuditPathsHandler, PathAllowHandler, PathDenyHandler
from tests.support.acts import PERFORMED, known
from tests.support.sandboxes import PYTHON_PATHS, SYSTEM_PATHS, tool_sandbox

# Left to the kernel once they were judged.
OTHERS = ["execve", "execveat", "chdir", "getxattr", "lgetxattr", "setxattr", "listxattr", "llistxattr"]

SYSCALLS = [name for name in dict.fromkeys([*COMMON_PATH_SYSCALLS, *PERFORMED, *OTHERS]) if known(name)]


@pytest.fixture
def box(tmp_path: Path) -> Sandbox:
    (tmp_path / "file").write_text("content\n")
    granted = [path for path in PYTHON_PATHS if os.path.exists(path)]
    return tool_sandbox(["/proc", "/dev", *granted], [tmp_path], cwd=tmp_path)


def patterns(folder: Path) -> list[str]:
    trees = [*SYSTEM_PATHS, *PYTHON_PATHS, "/proc", "/dev", str(folder)]
    return ["/", *trees, *(f"{tree}/*" for tree in trees)]


COMMANDS: dict[str, list[StrPath]] = {
    "true": ["true"],
    "cat": ["cat", "file"],
    "ls": ["ls", "-lA", "/usr", "."],
    "sh": ["sh", "-c", "cd /usr && ls >/dev/null; cd - >/dev/null; for i in 1 2; do cat file; done | cat"],
    "files": [
        "sh",
        "-ec",
        "mkdir -p a/b; cp file a/b/copy; mv a/b/copy a/moved; ln -s moved a/link; ln a/moved a/hard; chmod 600 a/hard;"
        "touch -d @5 a/hard; cat a/link; stat -c %Y a/hard; test -x a; readlink a/link;"
        "rm -r a; ls; pwd -P; realpath .",
    ],
    "find": ["find", "/etc", "-maxdepth", "1", "-name", "host*"],
    "tar": ["sh", "-ec", "mkdir t; echo x >t/x; tar cf t.tar t; rm -r t; tar xf t.tar; cat t/x; rm -r t t.tar"],
    "redirections": [
        "sh",
        "-ec",
        "echo out >/dev/stdout; echo err 2>&1 >&2; cat </dev/null; echo x >new; cat <new; rm new",
    ],
    "python": [sys.executable, "-c", "import json, os, sqlite3; print(json.dumps(sorted(os.listdir('.'))))"],
    "python and files": [
        sys.executable,
        "-c",
        "import os, pathlib, shutil, tempfile\\n"
        "d = pathlib.Path(tempfile.mkdtemp(dir='.'))\\n"
        "(d / 'x').write_text('text'); os.replace(d / 'x', d / 'y')\\n"
        "print((d / 'y').read_text(), d.resolve().parent)\\n"
        "shutil.copytree(d, 'copied'); shutil.rmtree(d); shutil.rmtree('copied'); print(os.listdir('.'))",
    ],
}


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("preset", ["allow", "deny", "audit"])
def test_programs(box: Sandbox, tmp_path: Path, preset: str, command: str) -> None:
    """They print what they print without a handler."""
    if shutil.which(os.fsdecode(COMMANDS[command][0])) is None:
        pytest.skip(f"{COMMANDS[command][0]!r} is not on PATH")
    handlers: dict[str, Handler] = {
        "allow": PathAllowHandler(patterns(tmp_path)),
        "deny": PathDenyHandler(["/nonexistent/*", "*/.ssh/*", "/etc/shadow"]),
        "audit": AuditPathsHandler(lambda path, ctx: None),
    }
    arguments = [word.replace("\\n", "\n") if isinstance(word, str) else word for word in COMMANDS[command]]
    expected = box.run(arguments, check=True, timeout=60)
    result = box.run(arguments, handlers=[(name, handlers[preset]) for name in SYSCALLS], timeout=60)
    assert (result.stderr, result.handler_errors) == (expected.stderr, [])
    assert result.stdout == expected.stdout
    assert os.listdir(tmp_path) == ["file"]


def test_a_program_that_is_not_allowed(box: Sandbox, tmp_path: Path) -> None:
    """It starts, and cannot read."""
    allow = PathAllowHandler([pattern for pattern in patterns(tmp_path) if pattern != f"{tmp_path}/*"])
    result = box.run(["cat", "file", "/etc/hostname"], handlers=[(name, allow) for name in SYSCALLS], timeout=60)
    assert result.exit_code == 1
    assert result.stderr == b"cat: file: Permission denied\n"
    assert result.stdout == Path("/etc/hostname").read_bytes()


def test_a_program_that_is_denied(box: Sandbox, tmp_path: Path) -> None:
    deny = PathDenyHandler(["*/bin/ls", "/etc/hostname"])
    handlers = [(name, deny) for name in SYSCALLS]
    result = box.run(["sh", "-c", "ls; cat /etc/hostname file"], handlers=handlers, timeout=60)
    assert result.stdout == b"content\n"
    assert b"ls: " in result.stderr
    assert b"/etc/hostname: Operation not permitted" in result.stderr
