"""Many calls that wait for handlers at once."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..host import Host
from ..setting import Setting, readable
from ..timing import OURS, Contestant, Entry, Goal, Row, Unit
from .entries import FLOOR, peer
from .notifications import nanoseconds

__all__ = ["rows"]

_ONE = "one thread"
_THREADS = 16
_IN_FLIGHT = 1000
_SLOW = 20  # of how many calls of ours the peer makes one


def rows() -> Iterator[Row]:
    title = f"notifications of {_THREADS} threads at once, a handler counts"
    yield Row("crowd", title, _crowd, Goal(1, _ONE, at_least=True), Unit.PER_SECOND, rounds=21)
    title = "99th percentile of other traps while a handler sleeps 50 ms"
    yield Row("slow-neighbour", title, _slow_neighbour, Goal(1e-3), rounds=9)
    title = f"notifications of an async handler, {_IN_FLIGHT} in flight"
    yield Row("async", title, _in_flight, Goal(20_000, at_least=True), Unit.PER_SECOND, rounds=9)


def _crowd(setting: Setting) -> Sequence[Entry]:
    host, floor, caller = setting.host(), setting.program("floor"), setting.program("caller")
    calls = setting.size(16_000, 1_600)

    def command(calls: int, threads: int) -> list[str]:
        return [caller, "getppid", str(calls // threads), str(threads)]

    def rate(host: Host, calls: int, threads: int) -> float:
        return 1e9 / _printed(host, command(calls, threads), [("getppid", "count")])

    def floor_rate(threads: int) -> float:
        return 1 / nanoseconds([floor, "getppid", *command(calls, threads)])

    return [
        Contestant(OURS, lambda: rate(host, calls, _THREADS)),
        Contestant(_ONE, lambda: rate(host, calls, 1)),
        Contestant(FLOOR, lambda: floor_rate(_THREADS)),
        Contestant(f"{FLOOR}, {_ONE}", lambda: floor_rate(1)),
        peer(setting, lambda other: rate(other, calls // _SLOW, _THREADS), every=3),
    ]


def _slow_neighbour(setting: Setting) -> Sequence[Entry]:
    host, samples = setting.host(), setting.size(2_000, 200)
    program = setting.program("latency")

    def percentile(host: Host, samples: int) -> float:
        command = [program, str(samples)]
        return _printed(host, command, [("getpgid", "sleep"), ("getppid", "continue")]) / 1e9

    return [
        Contestant(OURS, lambda: percentile(host, samples)),
        peer(setting, lambda other: percentile(other, samples // _SLOW), every=4),
    ]


def _in_flight(setting: Setting) -> Sequence[Entry]:
    host, threads, calls = setting.host(), setting.size(_IN_FLIGHT, 100), 20
    command = [setting.program("caller"), "getppid", str(calls), str(threads)]
    policy = {"fs_readable": readable()}

    def rate() -> float:
        arguments = {"command": command, "policy": policy, "alone": calls, "in_flight": threads}
        return 1e9 / float(host.ask("handled_in_flight", **arguments))

    floor = setting.program("floor")
    return [
        Contestant(OURS, rate),
        Contestant(FLOOR, lambda: 1 / nanoseconds([floor, "getppid-gather", *command])),
    ]


def _printed(host: Host, command: list[str], handlers: list[tuple[str, str]]) -> float:
    return float(host.ask("handled", command=command, policy={"fs_readable": readable()}, handlers=handlers))
