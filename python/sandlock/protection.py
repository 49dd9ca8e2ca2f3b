"""The protections that depend on the kernel's version."""

from __future__ import annotations

from enum import IntEnum

__all__ = ["Protection"]


class Protection(IntEnum):
    """A protection of Landlock that older kernels lack, for ``allow_degraded`` and ``disable``.

    See landlock(7) for what each is about.
    """

    FS_REFER = 0
    """Links and renames between folders. Landlock ABI 2, Linux 5.19."""
    FS_TRUNCATE = 1
    """Truncation of files. Landlock ABI 3, Linux 6.2."""
    NET_TCP = 2
    """Binding and connecting TCP sockets. Landlock ABI 4, Linux 6.7."""
    FS_IOCTL_DEV = 3
    """ioctl on devices. Landlock ABI 5, Linux 6.10."""
    SIGNAL_SCOPE = 4
    """Signals to processes outside of the sandbox. Landlock ABI 6, Linux 6.12."""
    ABSTRACT_UNIX_SOCKET_SCOPE = 5
    """Abstract Unix sockets of processes outside of the sandbox. Landlock ABI 6, Linux 6.12."""
