"""Socket addresses in the memory of a child, and lists of peers."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from collections.abc import Iterable, Iterator

from ._syscalls import numbers_of
from .context import HandlerCtx

__all__ = ["NETWORK_CALLS", "address_of", "addresses_of", "networks", "peer_of", "peer_text"]

NETWORK_CALLS = ("connect", "bind", "sendto", "sendmsg", "sendmmsg")

_LARGEST = 128  # struct sockaddr_storage
_MMSGHDR = 64  # bytes of struct mmsghdr where pointers have 64 bits
_MOST_MESSAGES = 1024  # UIO_MAXIOV, which sendmmsg(2) does not pass


def address_of(ctx: HandlerCtx) -> bytes:
    """Return the socket address of a call, empty where it has none that can be read; of sendmmsg the first one."""
    return next(addresses_of(ctx), b"")


def addresses_of(ctx: HandlerCtx) -> Iterator[bytes]:
    """Yield the socket addresses of a call, each empty where there is none that can be read."""
    number = ctx.syscall_nr
    if [number] == numbers_of(("sendto",)):
        yield _read(ctx, ctx.args[4], ctx.args[5])
    elif number in numbers_of(("sendmsg", "sendmmsg")):
        count = min(ctx.args[2] & 0xFFFFFFFF, _MOST_MESSAGES) if number in numbers_of(("sendmmsg",)) else 1
        for index in range(count):
            # struct msghdr, with which struct mmsghdr begins: a pointer, and the length in 32 bits
            header = ctx.read(ctx.args[1] + index * _MMSGHDR, 12) or bytes(12)
            yield _read(ctx, *(int.from_bytes(part, sys.byteorder) for part in (header[:8], header[8:])))
    else:
        yield _read(ctx, ctx.args[1], ctx.args[2])


def _read(ctx: HandlerCtx, address: int, size: int) -> bytes:
    size &= 0xFFFFFFFF
    if not address or not size or size > 2**31 - 1:
        return b""
    return ctx.read(address, min(size, _LARGEST)) or b""


def peer_of(raw: bytes) -> tuple[str | None, int]:
    """Return the host and the port of a socket address; None and 0 where it has none."""
    family = _family(raw)
    if family == socket.AF_INET and len(raw) >= 8:
        return str(ipaddress.IPv4Address(raw[4:8])), int.from_bytes(raw[2:4], "big")
    if family == socket.AF_INET6 and len(raw) >= 24:
        address = ipaddress.IPv6Address(raw[8:24])
        return str(address.ipv4_mapped or address), int.from_bytes(raw[2:4], "big")
    return None, 0


def peer_text(raw: bytes) -> str | None:
    """Return a socket address as text, such as ``127.0.0.1:80``, ``[::1]:80``, ``unix:/run/socket``; None for none."""
    host, port = peer_of(raw)
    if host is not None:
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    if len(raw) < 2:
        return None
    if _family(raw) == socket.AF_UNIX and len(raw) > 2:
        name = raw[2:]
        return f"unix:{os.fsdecode(name.partition(bytes(1))[0])}" if name[0] else f"unix:@{os.fsdecode(name[1:])}"
    return f"family {_family(raw)}"


def _family(raw: bytes) -> int:
    return int.from_bytes(raw[:2], sys.byteorder)


def networks(name: str, ips: object) -> str:
    """Return addresses and networks as Go reads them.

    Raises:
        TypeError: it is no list.
        ValueError: an entry is no address and no network.
    """
    if isinstance(ips, (str, bytes)) or not isinstance(ips, Iterable):
        raise TypeError(f"{name}: ips must be a list of addresses, not {ips!r}")
    found = []
    for ip in ips:
        if not isinstance(ip, (str, ipaddress.IPv4Address, ipaddress.IPv6Address)):
            raise TypeError(f"{name}: {ip!r} is no address; write text such as '192.0.2.1' or '192.0.2.0/24'")
        try:
            network = ipaddress.ip_network(str(ip), strict=False)
        except ValueError:
            raise ValueError(
                f"{name}: {ip!r} is no address; write text such as '192.0.2.1' or '192.0.2.0/24'"
            ) from None
        mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
        if mapped is not None and network.prefixlen >= 96:
            network = ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}", strict=False)
        found.append(str(network))
    return ",".join(found)
