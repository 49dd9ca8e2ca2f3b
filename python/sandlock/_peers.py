"""Socket addresses in the memory of a child, and lists of peers."""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections.abc import Iterable

from ._syscalls import numbers_of
from .context import HandlerCtx

__all__ = ["NETWORK_CALLS", "address_of", "networks", "peer_of"]

NETWORK_CALLS = ("connect", "bind", "sendto", "sendmsg", "sendmmsg")

_LARGEST = 128  # struct sockaddr_storage


def address_of(ctx: HandlerCtx) -> bytes:
    """Return the socket address of a call, empty where it has none that can be read."""
    address, size = ctx.args[1], ctx.args[2]
    if [ctx.syscall_nr] == numbers_of(("sendto",)):
        address, size = ctx.args[4], ctx.args[5]
    elif ctx.syscall_nr in numbers_of(("sendmsg", "sendmmsg")):
        # struct msghdr, with which struct mmsghdr begins: a pointer, and the length in 32 bits
        header = ctx.read(ctx.args[1], 12) or bytes(12)
        address, size = int.from_bytes(header[:8], sys.byteorder), int.from_bytes(header[8:], sys.byteorder)
    size &= 0xFFFFFFFF
    if not address or not size or size > 2**31 - 1:
        return b""
    return ctx.read(address, min(size, _LARGEST)) or b""


def peer_of(raw: bytes) -> tuple[str | None, int]:
    """Return the host and the port of a socket address; None and 0 where it has none."""
    family = int.from_bytes(raw[:2], sys.byteorder)
    if family == socket.AF_INET and len(raw) >= 8:
        return str(ipaddress.IPv4Address(raw[4:8])), int.from_bytes(raw[2:4], "big")
    if family == socket.AF_INET6 and len(raw) >= 24:
        address = ipaddress.IPv6Address(raw[8:24])
        return str(address.ipv4_mapped or address), int.from_bytes(raw[2:4], "big")
    return None, 0


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
        network = ipaddress.ip_network(str(ip), strict=False)
        mapped = network.network_address.ipv4_mapped if isinstance(network, ipaddress.IPv6Network) else None
        if mapped is not None and network.prefixlen >= 96:
            network = ipaddress.ip_network(f"{mapped}/{network.prefixlen - 96}", strict=False)
        found.append(str(network))
    return ",".join(found)
