"""Compile Python's ``email`` package in a sandbox, and list the files that the compiler opens.

Run it with ``make demo``.
"""

from __future__ import annotations

import email
import glob
import os
import shutil
import sys
import tempfile
from collections import Counter

from sandlock import Handler, HandlerCtx, NotifAction, Sandbox


class ListOpens(Handler):
    """Remembers the path of every openat, and lets the kernel decide about it."""

    def __init__(self) -> None:
        self.paths: list[str] = []

    def handle(self, ctx: HandlerCtx) -> NotifAction:
        # Several threads may call this at once: append is atomic.
        self.paths.append(ctx.read_path() or "(unreadable)")
        return NotifAction.continue_()


def readable_folders() -> list[str]:
    """Return what an interpreter needs to read: the system's libraries, and where it is installed itself.

    In a virtual environment it is installed in two places: sys.prefix is the environment, sys.base_prefix what the
    environment was made from.

    Not granted, and not needed: /dev and /proc (hash seeds come from getrandom(2), and stdin is open already), /home
    and /tmp beyond these folders, and the network. Locales are beneath /usr.
    """
    folders = ["/usr", *glob.glob("/lib*"), "/etc", sys.prefix, sys.base_prefix]
    return [folder for folder in folders if os.path.exists(folder)]


def main() -> int:
    with tempfile.TemporaryDirectory() as work:
        source = os.path.dirname(email.__file__)
        shutil.copytree(source, f"{work}/email", ignore=shutil.ignore_patterns("__pycache__"))

        opens = ListOpens()
        sandbox = Sandbox(fs_readable=readable_folders(), fs_writable=[work], cwd=work)
        result = sandbox.run([sys.executable, "-m", "compileall", "email"], handlers=[("openat", opens)])

    print(f"openat was called {len(opens.paths)} times. Most often for:")
    for path, count in Counter(opens.paths).most_common(10):
        print(f"{count:6}  {path}")
    print(f"exit code: {result.exit_code}")
    if not result.success:
        print(result.error or os.fsdecode(result.stdout + result.stderr), file=sys.stderr)
    return result.exit_code


if __name__ == "__main__":
    sys.exit(main())
