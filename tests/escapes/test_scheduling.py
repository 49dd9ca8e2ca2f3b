"""When and where other processes of the user run, the supervisor among them, is not for a sandbox to say.

The kernel itself refuses it where the target has capabilities that the caller lacks (cap_safe_nice): the case of root.
"""

from __future__ import annotations

import os
import struct
import subprocess

import pytest

from tests.support.call import Argument, Attempt

SCHED_OTHER, IOPRIO_WHO_PROCESS, IOPRIO_WHO_USER, IDLE = 0, 1, 3, 3 << 13
MASK = struct.pack("Q", (1 << 64) - 1)
ATTRIBUTES = struct.pack("IIQiIQQQ", 48, SCHED_OTHER, 0, 0, 0, 0, 0, 0)

# Each of a task; what they ask for is as it is anyway, but for the class of I/O.
WAYS: dict[str, tuple[Argument, ...]] = {
    "sched_setaffinity": (8, MASK),
    "sched_setattr": (ATTRIBUTES, 0),
    "sched_setparam": (bytes(4),),
    "sched_setscheduler": (SCHED_OTHER, bytes(4)),
    "setpriority": (0,),
    "ioprio_set": (IDLE,),
}


def arguments(name: str, task: int) -> tuple[Argument, ...]:
    kind = {"setpriority": (os.PRIO_PROCESS,), "ioprio_set": (IOPRIO_WHO_PROCESS,)}.get(name, ())
    return (name, *kind, task, *WAYS[name])


@pytest.mark.parametrize("way", WAYS)
def test_others(attempt: Attempt, bare_attempt: Attempt, victim: subprocess.Popen[bytes], way: str) -> None:
    assert bare_attempt(*arguments(way, victim.pid)).error == ""
    for task in (victim.pid, os.getpid(), -1):
        assert attempt(*arguments(way, task)).error == "EPERM"


@pytest.mark.parametrize("way", WAYS)
def test_itself(attempt: Attempt, way: str) -> None:
    assert attempt(*arguments(way, 0)).error == ""


def test_all_of_a_user(attempt: Attempt) -> None:
    """0 is the caller's own."""
    assert attempt("setpriority", os.PRIO_USER, 0, 19).error == "EPERM"
    assert attempt("ioprio_set", IOPRIO_WHO_USER, 0, IDLE).error == "EPERM"
