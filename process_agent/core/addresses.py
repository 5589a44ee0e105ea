"""Which internet addresses are public: what a program may connect to when strangers name the place. Pure."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final

type Address = IPv4Address | IPv6Address

_NAT64: Final = IPv6Network("64:ff9b::/96")
_COMPATIBLE: Final = IPv6Network("::/96")
_INSIDE: Final = frozenset((IPv4Address("168.63.129.16"),))
"""Addresses that are public by number and mean the machine's own platform: Azure's."""


def is_public(text: str) -> bool:
    """Whether a number means a host on the internet, however it is written: not this machine, not its
    networks, not the cloud it runs in. An address of IPv6 that stands for one of IPv4 counts as that.
    """
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return False
    return all(_is_public(each) for each in (address, *_meant(address)))


def _is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast and address not in _INSIDE


def _meant(address: Address) -> tuple[Address, ...]:
    """Addresses of IPv4 within one of IPv6: mapped, 6to4, Teredo, NAT64 and the old compatible ones."""
    if isinstance(address, IPv4Address):
        return ()
    found = [address.ipv4_mapped, address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 0xFFFF):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return tuple(each for each in found if each is not None)
