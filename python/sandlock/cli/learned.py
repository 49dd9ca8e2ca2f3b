"""The tightest sandbox in which a command would have done what it was seen to do."""

from __future__ import annotations

import os
import re
import stat
import struct
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from .._denied import is_beneath
from ..audit import IPC_CALLS, OPENS, Audit, Call
from ..sandbox import Sandbox

__all__ = ["SOFTWARE", "is_within", "learned"]

SOFTWARE = ("/usr", "/lib", "/lib64", "/lib32", "/bin", "/sbin", "/opt", "/nix/store")
"""Folders of software, in which nothing is secret."""

# When a command reads so many files of a folder of software, it is granted the folder.
_MANY = 8

_MOST_NESTED = 5  # scripts whose interpreters are scripts, see execve(2)

_PROTOCOLS = ("tcp", "udp", "icmp")


def learned(record: Audit) -> Sandbox:
    """Return the sandbox. What was there for the time of the command only is granted by its folder."""
    readable: set[str] = set()
    writable: set[str] = set()
    for call in record.calls:
        if call.writes:
            writable.update(_changed(call))
        elif call.syscall in OPENS:
            readable.update(os.path.realpath(path) for path, found in zip(call.paths, call.found) if found)
        elif call.argv:
            readable.update(_loaded(call.paths[0]) if all(call.found) and call.paths else ())
    writable.update(_socket_folders(record))
    readable, writable = set(map(_lasting, readable)), set(map(_lasting, writable))
    writable = _outermost({path for path in writable if os.path.exists(path)})
    readable = _outermost(_gathered({path for path in readable if os.path.exists(path)}))
    return Sandbox(
        fs_readable=sorted(path for path in readable if not is_within(path, writable)),
        fs_writable=sorted(writable),
        net_allow=sorted({*_peers(record), *_sockets(record)}),
        net_allow_bind=sorted(set(_ports(record))),
        extra_allow_syscalls=["sysv_ipc"] if any(call.syscall in IPC_CALLS for call in record.calls) else [],
        cwd=os.getcwd(),
    )


def _changed(call: Call) -> Iterator[str]:
    """Yield what must be writable for a call."""
    if call.syscall in (*OPENS, "truncate"):
        path = os.path.realpath(call.paths[0]) if call.paths else ""
        if all(call.found) and os.path.exists(path):
            yield path  # what is there may be changed without its folder
        elif path:
            yield os.path.dirname(path)
    elif call.syscall.startswith("mkdir") and all(call.found):
        return  # there already, which the kernel finds out first
    elif call.syscall.startswith(("unlink", "rmdir", "rename", "link")) and call.found[:1] != (True,):
        return  # not there, likewise
    else:
        paths = call.paths[-1:] if call.syscall.startswith("symlink") else call.paths  # the first is only its content
        yield from map(os.path.dirname, paths)


def _loaded(program: str, nested: int = 0) -> Iterator[str]:
    """Yield what the kernel opens by itself for a program: it, its dynamic linker, the interpreter of a script."""
    path = os.path.realpath(program)
    yield path
    if not os.path.isfile(path):  # a pipe would block
        return
    try:
        with open(path, "rb") as file:
            head = file.read(4096)
    except OSError:
        return
    script = re.match(rb"#![ \t]*([^ \t\n]+)", head)
    if script is not None and nested < _MOST_NESTED:
        yield from _loaded(os.fsdecode(script[1]), nested + 1)
    linker = _linker(head)
    if linker is not None:
        yield os.path.realpath(linker)


def _linker(head: bytes) -> str | None:
    """Return the dynamic linker that the beginning of an ELF file names, see elf(5)."""
    if head[:5] != b"\x7fELF\x02":  # of 64 bits, the only ones that run
        return None
    (start,) = struct.unpack_from("=Q", head, 32)
    size, count = struct.unpack_from("=HH", head, 54)
    for offset in range(start, min(start + size * count, len(head) - 56), size):
        (kind,) = struct.unpack_from("=I", head, offset)
        if kind == 3:  # PT_INTERP
            (place,) = struct.unpack_from("=Q", head, offset + 8)
            return os.fsdecode(head[place:].partition(b"\0")[0])
    return None


def _lasting(path: str) -> str:
    """Return what stands for a path in another run: processes have other numbers then."""
    return "/proc" if re.match(r"/proc/\d", path) else path


def _gathered(paths: set[str]) -> set[str]:
    folders: dict[str, set[str]] = defaultdict(set)
    for path in paths:
        folders[os.path.dirname(path)].add(path)
    return paths | {folder for folder, files in folders.items() if len(files) >= _MANY and is_within(folder, SOFTWARE)}


def _outermost(paths: set[str]) -> set[str]:
    return {path for path in paths if not is_within(os.path.dirname(path), paths - {path})}


def is_within(path: str, folders: Iterable[str]) -> bool:
    return any(is_beneath(path, folder) for folder in folders)


def _peers(record: Audit) -> Iterator[str]:
    """Yield the rules for the peers. A port that the kernel picked for the command itself is another one next time."""
    picks = any(_port(address) == 0 for address in record.bound)
    for call in record.calls:
        if call.peer is None or call.protocol not in _PROTOCOLS:
            continue
        host, _, _ = call.peer.rpartition(":")
        port = _port(call.peer)
        if call.protocol == "icmp":
            yield f"icmp://{host}"
        elif picks and port in _picked() and _is_here(host):
            yield f"{call.protocol}://{host}:{_picked()[0]}-{_picked()[-1]}"
        elif port:  # 0 asks for a route only
            yield f"{call.protocol}://{call.peer}"


def _sockets(record: Audit) -> Iterator[str]:
    """Yield the rules for Unix sockets. Those of the command itself are made anew each time, in their folders."""
    own = set(_socket_folders(record))
    yield from (f"unix://{folder}" for folder in own)
    for path in filter(None, map(_socket_path, record.peers)):
        if stat.S_ISSOCK(_mode(path)) and not is_within(path, own):
            yield f"unix://{path}"


def _socket_folders(record: Audit) -> Iterator[str]:
    for path in filter(None, map(_socket_path, record.bound)):
        if os.path.isdir(folder := os.path.dirname(path)):
            yield folder


def _socket_path(address: str) -> str:
    """Return where the path of a Unix socket leads, empty for other addresses."""
    path = address.partition("unix:")[2]
    return os.path.realpath(path) if path and not path.startswith("@") else ""


def _mode(path: str) -> int:
    try:
        return os.stat(path).st_mode
    except OSError:
        return 0


def _ports(record: Audit) -> Iterator[int]:
    for call in record.calls:
        if call.bound is not None and call.protocol in ("tcp", "udp"):
            port = _port(call.bound)
            if port or call.protocol == "tcp":  # a UDP socket may always get a port that the kernel picks
                yield port


def _port(address: str) -> int:
    port = address.rpartition(":")[2]
    return int(port) if port.isdigit() else -1


def _is_here(host: str) -> bool:
    return host.startswith("127.") or host in ("[::1]", "0.0.0.0", "[::]")


def _picked() -> range:
    """Return the ports that the kernel picks, see ip_local_port_range in ip(7)."""
    first, last = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    return range(first, last + 1)
