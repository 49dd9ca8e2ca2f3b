"""The folder that a sandboxed program was given is removed, whatever that has put into it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from sandlock._folders import TemporaryFolder
from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

# The folders are nested deeper than a path can be long. The links lead to what is not to be touched.
FILL = """
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
for level in range(1200):
    for name in ("deep", "e"):
        os.mkdir(name, 0o700, dir_fd=fd)
    os.symlink(sys.argv[2], "link", dir_fd=fd)
    os.mkfifo("pipe", dir_fd=fd)
    os.chmod("e", 0, dir_fd=fd)
    inner = os.open("deep", os.O_RDONLY, dir_fd=fd)
    os.fchmod(fd, 0)
    os.close(fd)
    fd = inner
"""


def test_nested_folders_without_permissions(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").touch(0o640)
    with TemporaryFolder() as folder:
        assert os.stat(folder).st_mode & 0o777 == 0o700
        os.mkdir(os.path.join(folder, "given"))
        box = tool_sandbox(PYTHON_PATHS, [folder])
        result = box.run([sys.executable, "-I", "-S", "-c", FILL, os.path.join(folder, "given"), outside])
        assert result.success, result.stderr
        assert os.lstat(os.path.join(folder, "given")).st_mode & 0o777 == 0
    assert not os.path.lexists(folder)
    assert [path.name for path in outside.iterdir()] == ["kept"]
    assert outside.stat().st_mode & 0o700 == 0o700
    assert (outside / "kept").stat().st_mode & 0o777 == 0o640
