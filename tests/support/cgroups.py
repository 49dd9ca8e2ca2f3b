"""Whether this user may make a cgroup with a controller here."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["groups", "mechanism", "obstacle"]


def own_cgroup() -> tuple[Path, Path] | None:
    """Return where cgroup v2 is mounted, and the folder of this process."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        fields = line.split()
        if fields[fields.index("-") + 1] == "cgroup2":
            mount = Path(fields[4])
            break
    else:
        return None
    (own,) = [line[3:] for line in Path("/proc/self/cgroup").read_text().splitlines() if line.startswith("0::")]
    return mount, mount / own.lstrip("/")


def obstacle(controller: str) -> str | None:
    """Return why no cgroup with this controller can be made here, or None."""
    place = own_cgroup()
    if place is None:
        return "no cgroup v2 is mounted"
    mount, folder = place
    if controller not in (mount / "cgroup.controllers").read_text().split():
        return f"cgroup v2 has no {controller} controller here"
    for base in [folder, *folder.parents]:
        if all(os.access(base / name, os.W_OK) for name in (".", "cgroup.procs", "cgroup.subtree_control")):
            active = controller in (base / "cgroup.subtree_control").read_text().split()
            offered = controller in (base / "cgroup.controllers").read_text().split()
            empty = not (base / "cgroup.procs").read_text().split()
            if active or (offered and (empty or not (base / "cgroup.type").exists())):
                return None
        if base == mount:
            break
    return f"no cgroup from {folder} up to {mount} is this user's to make others in"


def groups() -> list[Path]:
    """Return the cgroups of sandboxes, wherever they may be made."""
    place = own_cgroup()
    if place is None:
        return []
    mount, folder = place
    bases = [base for base in (folder, *folder.parents) if base == mount or mount in base.parents]
    return [group for base in bases for group in base.glob("sandlock-*")]


def mechanism(controller: str) -> str:
    """Return what bounds a tree by this controller here."""
    return "cgroup" if obstacle(controller) is None else "supervisor"
