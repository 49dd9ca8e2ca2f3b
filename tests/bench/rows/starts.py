"""What it takes to run a command that does nothing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Callable

from ..host import Host
from ..setting import Setting, readable
from ..timing import OURS, Contestant, Entry, Goal, Row, Unit
from .entries import BARE, peer, wrapped
from .notifications import nanoseconds

__all__ = ["rows"]

_TRUE = ["/bin/true"]
_TIMES = 4  # runs a measurement
_CALLS = "start.c, our calls"
_SPAWN = "start.c, posix_spawn"
_SMALL = "small host"
_FEW = "few paths"
_RESIDENT = 4 << 30
_DESCRIPTORS = 10_000
_PATHS = 200
_AT_ONCE = 8


def rows() -> Iterator[Row]:
    yield Row("start", "/bin/true from Python, start to exit", _start, Goal(1.3, BARE), rounds=100)
    title = f"the same in a host of {_RESIDENT >> 30} GiB resident memory"
    yield Row("start-resident", title, _start_resident, Goal(1.1, _SMALL), rounds=50)
    title = f"the same in a host with {_DESCRIPTORS:,} open descriptors"
    yield Row("start-descriptors", title, _start_descriptors, Goal(1.2, _SMALL), rounds=50)
    title = f"the same with {_PATHS} readable paths"
    yield Row("start-paths", title, _start_paths, Goal(1.5, _FEW), rounds=50)
    title = f"/bin/true a second, {_AT_ONCE} at a time"
    yield Row("throughput", title, _throughput, Goal(0.7, BARE, at_least=True), Unit.PER_SECOND, rounds=15)


def _start(setting: Setting) -> Sequence[Entry]:
    host, policy = setting.host(), {"fs_readable": readable()}
    return [
        Contestant(OURS, lambda: _confined(host, policy)),
        Contestant(BARE, lambda: _bare(host, _TRUE)),
        Contestant(_CALLS, _in_c(setting, "launch", paths=readable())),
        Contestant(_SPAWN, _in_c(setting, "spawn")),
        wrapped(setting, lambda prefix: _bare(host, [*prefix, *_TRUE], times=1), every=2),
        peer(setting, lambda other: _confined(other, policy, times=1), every=2),
    ]


def _start_resident(setting: Setting) -> Sequence[Entry]:
    return _in_large_host(setting, resident=setting.size(_RESIDENT, 64 << 20))


def _start_descriptors(setting: Setting) -> Sequence[Entry]:
    return _in_large_host(setting, descriptors=setting.size(_DESCRIPTORS, 500))


def _in_large_host(setting: Setting, resident: int = 0, descriptors: int = 0) -> Sequence[Entry]:
    small, large = setting.host(), setting.host(resident, descriptors)
    policy = {"fs_readable": readable()}
    entries = [
        Contestant(OURS, lambda: _confined(large, policy)),
        Contestant(_SMALL, lambda: _confined(small, policy)),
        Contestant(BARE, lambda: _bare(large, _TRUE)),
        Contestant(f"{BARE}, {_SMALL}", lambda: _bare(small, _TRUE)),
    ]
    if descriptors:
        for name, kind, paths in ((_CALLS, "launch", readable()), (_SPAWN, "spawn", [])):
            entries.append(Contestant(name, _in_c(setting, kind, descriptors, paths)))
            entries.append(Contestant(f"{name}, {_SMALL}", _in_c(setting, kind, paths=paths)))
    return entries


def _start_paths(setting: Setting) -> Sequence[Entry]:
    host, folder = setting.host(), setting.folder()
    paths = [folder / str(n) for n in range(_PATHS - len(readable()))]
    for path in paths:
        path.mkdir()
    few, many = {"fs_readable": readable()}, {"fs_readable": [*readable(), *map(str, paths)]}
    return [
        Contestant(OURS, lambda: _confined(host, many)),
        Contestant(_FEW, lambda: _confined(host, few)),
        Contestant(_CALLS, _in_c(setting, "launch", paths=many["fs_readable"])),
        Contestant(f"{_CALLS}, {_FEW}", _in_c(setting, "launch", paths=few["fs_readable"])),
        peer(setting, lambda other: _confined(other, many, times=1), every=2),
    ]


def _throughput(setting: Setting) -> Sequence[Entry]:
    host, policy, runs = setting.host(), {"fs_readable": readable()}, setting.size(80, 16)

    def confined(host: Host, runs: int = runs) -> float:
        return float(host.ask("crowd_confined", command=_TRUE, policy=policy, runs=runs, at_once=_AT_ONCE))

    def bare(command: list[str]) -> float:
        return float(host.ask("crowd_bare", command=command, runs=runs, at_once=_AT_ONCE))

    return [
        Contestant(OURS, lambda: confined(host)),
        Contestant(BARE, lambda: bare(_TRUE)),
        wrapped(setting, lambda prefix: bare([*prefix, *_TRUE]), every=3),
        peer(setting, lambda other: confined(other, runs // 2), every=3),
    ]


def _in_c(setting: Setting, kind: str, descriptors: int = 0, paths: Sequence[str] = ()) -> Callable[[], float]:
    """Return what starts the command from C; see start.c."""
    program = [setting.program("start"), kind, str(_TIMES), str(descriptors), *_TRUE, *paths]
    return lambda: nanoseconds(program)


def _bare(host: Host, command: list[str], times: int = _TIMES) -> float:
    return float(host.ask("run_bare", command=command, times=times))


def _confined(host: Host, policy: dict[str, Any], times: int = _TIMES) -> float:
    return float(host.ask("run_confined", command=_TRUE, policy=policy, times=times))
