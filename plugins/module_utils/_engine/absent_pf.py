# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What there is in place of a PF that a document names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from .._document import lookup
from .._model.errors import BadInputError, KernelError
from .._model.paths import DEVICES, NETDEVS, PCI_ADDRESS
from .._model.state import PfState
from .._system.sysfs import Sysfs

if TYPE_CHECKING:
    from .._document.selector import PfName

_NO_SRIOV = (
    "without SR-IOV: switch that on in the firmware of the host and of the device (such as mlxconfig SRIOV_EN), or the "
    "device has none"
)
_PORT = re.compile(r"np\d+$", re.ASCII)
"""End of names since systemd 252 or so, for the port (systemd.net-naming-scheme(7))."""


def with_reasons(
    sysfs: Sysfs,
    names: Iterable[PfName],
    states: Mapping[str, PfState],
    altnames: Mapping[str, str],
    error: BadInputError,
) -> BadInputError:
    """``error``, with what the names are that no PF has."""
    mistakes = list(error.mistakes)
    for name in dict.fromkeys(one for one in names if isinstance(one, str)):
        if _is_absent(name, states, altnames) and (text := explained(sysfs, name, states.values())):
            mistakes = [f"{one}; {text}" if f"PF '{name}' is not" in one else one for one in mistakes]
    return BadInputError(*mistakes)


def _is_absent(name: str, states: Mapping[str, PfState], altnames: Mapping[str, str]) -> bool:
    try:
        lookup.find(name, states, altnames)
    except BadInputError:
        return True
    return False


def explained(sysfs: Sysfs, name: str, pfs: Iterable[PfState]) -> str:
    """What ``name`` is on this host, empty for nothing."""
    try:
        found = _device(sysfs, name) if ":" in name else _interface(sysfs, name)
    except KernelError:
        return ""
    return found or _alike(name, [netdev for pf in pfs for netdev in pf.netdevs])


def _interface(sysfs: Sysfs, name: str) -> str:
    folder = f"{NETDEVS}/{name}"
    if not sysfs.exists(folder):
        return ""
    if sysfs.exists(f"{folder}/bonding"):
        ports = sysfs.read(f"{folder}/bonding/slaves").split()
        return f"'{name}' is a bond of {', '.join(ports) or 'nothing'}: name its ports"
    if sysfs.exists(f"{folder}/bridge"):
        return f"'{name}' is a bridge: name the interfaces in it"
    if not sysfs.exists(f"{folder}/device"):
        return f"'{name}' is an interface of no device, such as a VLAN: name the one below it"
    target = sysfs.target(f"{folder}/device") or ""
    addresses = re.findall(PCI_ADDRESS, target)
    return _device(sysfs, addresses[-1], f"'{name}'") if addresses else f"'{name}' is no interface of a PCI device"


def _device(sysfs: Sysfs, name: str, shown: str = "") -> str:
    address = name.lower() if name.count(":") > 1 else f"0000:{name.lower()}"
    folder = f"{DEVICES}/{address}"
    shown = shown or f"'{name}'"
    if not sysfs.exists(folder):
        return f"{shown} is no PCI device of this host"
    if pf := sysfs.link(f"{folder}/physfn"):
        return f"{shown} is a VF of PF {pf}: name that"
    return f"{shown} is PCI device {address}, {_NO_SRIOV}"


def _alike(name: str, netdevs: list[str]) -> str:
    """The interface that ``name`` may have meant."""
    plain = _PORT.sub("", name)
    same = [netdev for netdev in netdevs if _PORT.sub("", netdev) == plain]
    found = same or difflib.get_close_matches(name, netdevs, 1)
    return f"did you mean '{found[0]}'?" if found else ""
