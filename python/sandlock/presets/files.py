"""Files that are nowhere but in a handler."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping

from .._opens import open_flags
from ..actions import NotifAction
from ..context import HandlerCtx
from .paths import PerformingHandler

__all__ = ["VirtualFilesHandler"]


class VirtualFilesHandler(PerformingHandler):
    """Answers opens of certain files with what a mapping says they hold; other calls go on.

    Register it for ``open``, ``openat`` and ``openat2``. A file is read-only, and each open begins at its start. Calls
    other than opens, such as stat, see what is really there.

    Args:
        files: contents by absolute path, which need not exist.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        if not isinstance(files, Mapping):
            raise TypeError(f"files must be a mapping of paths to bytes, not {files!r}")
        self._files: dict[str, bytes] = {}
        for path, data in files.items():
            if not isinstance(path, (str, os.PathLike)) or not os.path.isabs(path):
                raise ValueError(f"files: {path!r} is no absolute path")
            if not isinstance(data, (bytes, bytearray, memoryview)):
                raise TypeError(f"files[{path!r}] must be bytes, not {type(data).__name__}")
            self._files[os.path.normpath(path)] = bytes(data)

    def _decide(self, ctx: HandlerCtx) -> NotifAction:
        flags = open_flags(ctx)
        path = None if flags is None else ctx.read_path()
        if flags is None or not path:
            return NotifAction.continue_()
        resolved = ctx.resolve_path(path=path)
        data = self._files.get(resolved.target, self._files.get(resolved.path))
        if data is None:
            return NotifAction.continue_()
        if flags & os.O_DIRECTORY:
            return NotifAction.errno(errno.ENOTDIR)
        if flags & os.O_CREAT and flags & os.O_EXCL:
            return NotifAction.errno(errno.EEXIST)
        if flags & os.O_ACCMODE != os.O_RDONLY or flags & os.O_TRUNC:
            return NotifAction.errno(errno.EROFS)
        return NotifAction.inject_bytes(data, cloexec=bool(flags & os.O_CLOEXEC))
