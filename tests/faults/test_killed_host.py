"""A host that is killed at any moment of a run leaves nothing behind: no process, no cgroup, no file, no socket.

SANDLOCK_KILLS says at how many moments it is killed, and SANDLOCK_SEED which ones.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.cgroups import groups
from tests.support.processes import host_command, host_environment, marked

KILLS = int(os.environ.get("SANDLOCK_KILLS", "200"))
SEED = int(os.environ.get("SANDLOCK_SEED", "1"))

# Forks hosts and kills them. Every orphan becomes its child, so that nobody is left when it has none; who is left after
# the limit is killed and told.
EXECUTIONER = """
    import ctypes, json, os, random, signal, sys, time
    from pathlib import Path
    from tests.support.processes import children
    from tests.support.scenarios import SCENARIOS

    kills, seed, limit = int(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
    PR_SET_CHILD_SUBREAPER, WALL = 36, 0x40000000
    assert ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0

    DAEMON = "trap '' TERM HUP INT; setsid setsid sh -c 'exec sleep 1000' >/dev/null 2>&1 </dev/null & sleep 0.05; "

    def host(scenario):
        '''Forks a host of one run.'''
        pid = os.fork()
        if pid == 0:
            SCENARIOS[scenario](DAEMON)
            os._exit(0)
        return pid

    def await_all(limit):
        '''Waits for every child. Returns how many there were, and the command lines of those that were late.'''
        signal.setitimer(signal.ITIMER_REAL, limit)
        count, left = 0, []
        while True:
            try:
                os.waitpid(-1, WALL)
                count += 1
            except ChildProcessError:
                signal.setitimer(signal.ITIMER_REAL, 0)
                return count, left
            except TimeoutError:
                for pid in children():
                    left.append(Path(f"/proc/{pid}/cmdline").read_bytes().decode())
                    os.kill(pid, signal.SIGKILL)

    def overdue(number, frame):
        raise TimeoutError

    signal.signal(signal.SIGALRM, overdue)
    lasts = {}
    for scenario in SCENARIOS:
        for _ in range(2):
            begin = time.monotonic()
            assert os.waitpid(host(scenario), 0)[1] == 0, scenario
            lasts[scenario] = max(lasts.get(scenario, 0), time.monotonic() - begin)
        assert await_all(limit)[1] == []
    chance, names = random.Random(seed), list(SCENARIOS)
    told = {"survivors": [], "longest": 0.0, "at_work": 0, "with_tree": 0}
    for kill in range(kills):
        scenario = names[kill % len(names)]
        pid = host(scenario)
        time.sleep(chance.uniform(0, lasts[scenario]))  # the moment of the kill is what is tried
        os.kill(pid, signal.SIGKILL)
        begin = time.monotonic()
        told["at_work"] += os.WIFSIGNALED(os.waitpid(pid, 0)[1])
        orphans, left = await_all(limit)
        told["longest"] = max(told["longest"], time.monotonic() - begin)
        told["with_tree"] += orphans > 0
        told["survivors"] = [f"kill {kill}, {scenario}: {line}" for line in left]
        if left:
            break
    for scenario in SCENARIOS:  # the next start
        assert os.waitpid(host(scenario), 0)[1] == 0, scenario
    print(json.dumps(told))
"""

LIMIT = 20.0
"""Seconds after which somebody counts as a survivor. On a machine that does nothing else they are gone after a few
milliseconds; the test tells how long it took."""


def sockets() -> set[str]:
    """Return the Unix sockets of sandlock that the kernel knows, by their names."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    return {line.split()[7] for line in lines if len(line.split()) > 7 and "sandlock" in line.split()[7]}


@pytest.mark.timeout(120 + KILLS)
def test_nothing_is_left(tmp_path: Path) -> None:
    marker = f"sandlock-killed-{os.getpid()}-{os.urandom(8).hex()}"
    environment = host_environment(TMPDIR=str(tmp_path), SANDLOCK_TEST_MARKER=marker)
    command = host_command(EXECUTIONER, KILLS, SEED, LIMIT)
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=100 + KILLS)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    print(
        f"{KILLS} kills, {told['at_work']} of them before the run's end, {told['with_tree']} with a tree; "
        f"nobody left after {told['longest'] * 1000:.0f} ms at most"
    )
    assert told["survivors"] == []
    assert marked(marker) == []
    assert told["with_tree"] > 0
    assert os.listdir(tmp_path) == []
    assert groups() == []
    assert sockets() == set()
