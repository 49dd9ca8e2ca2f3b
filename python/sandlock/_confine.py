"""Confining the calling process itself, with what Landlock can do alone."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from ._extension import core
from ._fields import Fields
from ._policy import policy_of
from ._request import shown
from .exceptions import ConfinementError, ForkError, PolicyError, from_core
from .kernel import note_degraded
from .protection import Protection
from .sandbox import Sandbox

__all__ = ["confine"]

# What Landlock enforces, and the name, with which nothing is done.
_LANDLOCK = ("fs_readable", "fs_writable", "fs_denied", "allow_degraded", "disable", "name")

# From linux/prctl.h, and the numbers of all machines.
_PR_SET_NO_NEW_PRIVS = 38
_SYS_landlock_restrict_self = 446


def confine(policy: Sandbox) -> None:
    """Confine the calling process, and all that it starts from now on, with Landlock (landlock(7)). It is for ever.

    Files are restricted to ``fs_readable``, ``fs_writable`` and ``fs_denied``; files that are open stay so. TCP can be
    neither bound nor connected, unless ``disable`` has ``Protection.NET_TCP``. Signals and abstract Unix sockets reach
    what is started from now on only, and setuid programs give no rights (PR_SET_NO_NEW_PRIVS of prctl(2)). System calls
    stay as they are, and so do sockets that are not TCP: for more run a command in a :class:`Sandbox`, which works
    in a confined process as well.

    Landlock confines a thread and those that it starts, so that this process must have no other: confine it before it
    starts threads, and before anything else of sandlock is used, which starts some.

    Raises:
        PolicyError: the policy is wrong, or has a field that Landlock cannot enforce. Nothing was restricted.
        ConfinementError: the process has other threads, or the kernel lacks a protection. Nothing was restricted.
        ForkError: the child that makes the ruleset could not be made.
    """
    if not isinstance(policy, Sandbox):
        raise TypeError(f"policy must be a Sandbox, not {type(policy).__name__}")
    _refuse_what_landlock_cannot_do(policy)
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        raise ConfinementError(
            f"this process has {threads} threads, and Landlock would confine one of them; "
            "confine it before it starts threads, or uses sandlock otherwise"
        )
    import ctypes  # here, because isolated sub-interpreters cannot import it in CPython 3.12

    fd, degraded = _ruleset(policy)
    try:
        libc = ctypes.CDLL(None, use_errno=True)
        if (
            libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0
            or libc.syscall(ctypes.c_long(_SYS_landlock_restrict_self), fd, 0) < 0
        ):
            raise ConfinementError(f"enforce the Landlock ruleset: {os.strerror(ctypes.get_errno())}")
    finally:
        os.close(fd)
    note_degraded(degraded)


def _refuse_what_landlock_cannot_do(policy: Sandbox) -> None:
    nothing = Fields(name=policy.name)
    for name in (each.name for each in fields(Fields) if each.name not in _LANDLOCK):
        value = getattr(policy, name)
        if isinstance(value, tuple):
            value = list(value)
        if value != getattr(nothing, name):
            raise PolicyError(
                f"{name}: {shown(value)} cannot be enforced by Landlock alone, in the calling process; "
                "leave it out, or run a command in the sandbox"
            )


def _ruleset(policy: Sandbox) -> tuple[int, list[Protection]]:
    """Return the ruleset's descriptor, and the protections that it does without.

    A child makes it: the Go runtime starts threads, which would stay outside.
    """
    request = json.dumps({"policy": policy_of(policy)})
    ours, theirs = socket.socketpair()
    with ours, theirs:
        try:
            pid = os.fork()
        except OSError as error:
            raise ForkError(f"make the process that makes the ruleset: {error.strerror}") from error
        if pid == 0:
            _serve_ruleset(request, theirs)
        theirs.close()
        try:
            text, descriptors, _, _ = socket.recv_fds(ours, 1 << 16, 1)
            while more := ours.recv(1 << 16):
                text += more
        finally:
            with contextlib.suppress(ChildProcessError):  # SIGCHLD is ignored
                os.waitpid(pid, 0)
    answer: Mapping[str, Any] = json.loads(text or '{"error": "the process that makes the ruleset has died"}')
    if "error" in answer:
        raise from_core(RuntimeError(answer["error"]))
    return descriptors[0], [Protection(number) for number in answer["degraded"]]


def _serve_ruleset(request: str, to: socket.socket) -> None:
    """Send the ruleset, or what is wrong, and end this process, whatever happens."""
    try:
        try:
            answer = core().core_Ruleset(request)
            descriptors = [json.loads(answer)["fd"]]
        except RuntimeError as error:
            answer, descriptors = json.dumps({"error": str(error)}), []
        socket.send_fds(to, [answer.encode()], descriptors)
    finally:
        os._exit(0)
