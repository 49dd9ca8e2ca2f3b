"""Subvolumes and snapshots of btrfs are made by ioctl in folders that are open for reading: Landlock is not asked."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.sandboxes import PYTHON_PATHS, tool_sandbox

# struct btrfs_ioctl_vol_args: a descriptor and a name.
SCRIPT = """
import errno, fcntl, os, struct
SNAPSHOT, SUBVOLUME = 0x50009401, 0x5000940e

def attempt(command, folder, name, source=0):
    try:
        fcntl.ioctl(os.open(folder, os.O_RDONLY), command, bytearray(struct.pack("q4088s", source, name)))
        print("done")
    except OSError as e:
        print(errno.errorcode[e.errno])

attempt(SUBVOLUME, "readable", b"made")
attempt(SNAPSHOT, "writable", b"copy", os.open("subvolume", os.O_RDONLY))
"""


@pytest.fixture
def btrfs(tmp_path: Path) -> Iterator[Path]:
    """Folders on btrfs, one of them a subvolume with a secret."""
    if os.geteuid() != 0 or shutil.which("mkfs.btrfs") is None:
        pytest.skip("making and mounting a btrfs takes root and mkfs.btrfs")
    image, mounted = tmp_path / "image", tmp_path / "mounted"
    with image.open("wb") as file:
        file.truncate(128 << 20)
    mounted.mkdir()
    subprocess.run(["mkfs.btrfs", "-q", image], check=True, capture_output=True, timeout=60)
    if subprocess.run(["mount", "-o", "loop", image, mounted], check=False, capture_output=True).returncode != 0:
        pytest.skip("no btrfs can be mounted here")
    try:
        for name in ("readable", "writable"):
            (mounted / name).mkdir()
        subprocess.run(["btrfs", "subvolume", "create", mounted / "subvolume"], check=True, capture_output=True)
        (mounted / "subvolume/secret").write_text("s3cret")
        yield mounted
    finally:
        subprocess.run(["umount", mounted], check=True, timeout=60)


def test_nothing_is_made(btrfs: Path) -> None:
    """Neither where it may only be read, nor a copy in which what is denied had another place."""
    box = tool_sandbox(
        [*PYTHON_PATHS, btrfs / "readable", btrfs / "subvolume"],
        [btrfs / "writable"],
        fs_denied=[btrfs / "subvolume/secret"],
        cwd=btrfs,
    )
    result = box.run([sys.executable, "-Ic", SCRIPT], timeout=60, check=True)
    assert result.stdout == b"EPERM\nEPERM\n"
    assert not [*(btrfs / "readable").iterdir(), *(btrfs / "writable").iterdir()]
