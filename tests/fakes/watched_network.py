"""A network for this process and its children, in which every address is this machine, and all is seen.

Whatever a program tries to reach, by name or address, through a proxy or past it, is a packet on the loopback
device of that network: questions for names and the first packets of connections are written down. Linux; with
user namespaces no rights are needed. Nothing gets out.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_ALL = 3
"""ETH_P_ALL."""

_SET_FLAGS, _UP = 0x8914, 0x1 | 0x40
_NEW_ROUTE, _REQUEST_ACK_CREATE, _LOCAL_TABLE, _LOCAL = 24, 0x1 | 0x4 | 0x400, 255, 2
_OUTPUT_DEVICE = 4
_SYN, _SYN_ACK = 0x02, 0x12
_DNS = 53


def enter() -> None:
    """Move this process, which has one thread, there. Raises `OSError` where that is forbidden."""
    if os.geteuid() == 0:
        os.unshare(os.CLONE_NEWNET)
    else:
        user, group = os.geteuid(), os.getegid()
        os.unshare(os.CLONE_NEWUSER | os.CLONE_NEWNET)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"{user} {user} 1")
        Path("/proc/self/gid_map").write_text(f"{group} {group} 1")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, _SET_FLAGS, struct.pack("16sh14x", b"lo", _UP))
    for family in (socket.AF_INET, socket.AF_INET6):
        _all_is_local(family)


def _all_is_local(family: int) -> None:
    """`ip route add local default dev lo`, for which not every machine has the program."""
    device = struct.pack("HHi", 8, _OUTPUT_DEVICE, socket.if_nametoindex("lo"))
    route = struct.pack("BBBBBBBBI", family, 0, 0, 0, _LOCAL_TABLE, 4, 254, _LOCAL, 0)
    size = 16 + len(route) + len(device)
    asked = struct.pack("IHHII", size, _NEW_ROUTE, _REQUEST_ACK_CREATE, 1, 0) + route + device
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
        kernel.send(asked)
        (error,) = struct.unpack_from("i", kernel.recv(4096), 16)
    if error:
        raise OSError(-error, os.strerror(-error))


@dataclass(frozen=True, order=True)
class Attempt:
    """Something that somebody tried to reach: `what` is tcp, udp, or the name that was asked for."""

    what: str
    address: str
    port: int


class Watch:
    """Writes down what is tried, from now on. Needs a running event loop."""

    def __init__(self) -> None:
        self.attempts: set[Attempt] = set()
        self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_ALL))
        self._socket.setblocking(False)
        asyncio.get_running_loop().add_reader(self._socket, self._read)

    def close(self) -> None:
        """Take in what came last, and stop."""
        self._read()
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _read(self) -> None:
        while True:
            try:
                packet = self._socket.recv(65536)
            except BlockingIOError:
                return
            self.attempts.update(_attempts(packet))


def _attempts(packet: bytes) -> Iterator[Attempt]:
    version = packet[0] >> 4
    if version == 4:
        protocol, start = packet[9], (packet[0] & 15) * 4
        address = socket.inet_ntop(socket.AF_INET, packet[16:20])
    elif version == 6:
        protocol, start = packet[6], 40
        address = socket.inet_ntop(socket.AF_INET6, packet[24:40])
    else:
        return
    if protocol not in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
        return  # that nobody listens, for one
    (port,) = struct.unpack_from("!H", packet, start + 2)
    if protocol == socket.IPPROTO_TCP:
        if packet[start + 13] & _SYN_ACK == _SYN:
            yield Attempt("tcp", address, port)
    elif port == _DNS:
        yield Attempt(_question(packet[start + 8 :]), "", port)
    else:
        yield Attempt("udp", address, port)


def _question(message: bytes) -> str:
    """The name that is asked for."""
    labels, at = [], 12
    while at < len(message) and message[at]:
        labels.append(message[at + 1 : at + 1 + message[at]].decode(errors="replace"))
        at += 1 + message[at]
    return ".".join(labels)
