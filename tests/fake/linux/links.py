# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network interfaces of VFs on a fake host.

`ip` moves them to namespaces and puts bridges and VLANs above them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError

from . import users

if TYPE_CHECKING:
    from .host import FakeHost
    from .pf import FakePf

MOUNTS = "proc/self/mountinfo"


def action(host: FakeHost, words: Sequence[str]) -> Callable[[], None] | None:
    """The action of `ip` with these arguments; None where unknown."""
    for pattern, act in ACTIONS.items():
        names = _matched(pattern.split(), words[1:])
        if names is not None:
            return partial(act, host, *names)
    return None


def _matched(pattern: Sequence[str], words: Sequence[str]) -> list[str] | None:
    """The words in place of the pattern's capitals; None without a match."""
    if len(pattern) != len(words) or any(not p.isupper() and p != word for p, word in zip(pattern, words)):
        return None
    return [word for p, word in zip(pattern, words) if p.isupper()]


def _all(host: FakeHost) -> Iterator[tuple[FakePf, int]]:
    yield from ((pf, vf_id) for pf in host.pfs.values() for vf_id in pf.vfs)


def _vf(host: FakeHost, netdev: str) -> tuple[FakePf, int]:
    return next((pf, vf_id) for pf, vf_id in _all(host) if netdev in pf.vfs[vf_id].interface_names(pf))


def _add_namespace(host: FakeHost, name: str) -> None:
    host.namespaces[f"/run/netns/{name}"] = {}
    _write_mounts(host)


def _del_namespace(host: FakeHost, name: str) -> None:
    del host.namespaces[f"/run/netns/{name}"]
    _write_mounts(host)


def _write_mounts(host: FakeHost) -> None:
    """Write mountinfo (proc(5)), with each namespace mounted on its name.

    As ip-netns(8) mounts them.
    """
    rows = [f"{50 + i} 1 0:4 net:[{70 + i}] {p} rw shared:2 - nsfs nsfs rw\n" for i, p in enumerate(host.namespaces)]
    users.put(host, MOUNTS, "".join(rows))


def _move(host: FakeHost, netdev: str, name: str) -> None:
    users.move(host, *_vf(host, netdev), f"/run/netns/{name}", netdev)


def _move_back(host: FakeHost, name: str, netdev: str, _pid: str) -> None:
    inside = host.namespaces[f"/run/netns/{name}"]
    pf, vf_id = _vf(host, netdev)
    assert inside.pop(pf.vfs[vf_id].address) == netdev
    pf.vfs[vf_id].elsewhere = False


def _add_bridge(_host: FakeHost, _name: str) -> None:
    """Do nothing: an upper interface appears with its first lower one."""


def _add_port(host: FakeHost, netdev: str, name: str) -> None:
    users.enslave(host, *_vf(host, netdev), name, "bridge")


def _add_vlan(host: FakeHost, netdev: str, name: str, _vlan: str) -> None:
    users.enslave(host, *_vf(host, netdev), name, "vlan")


def _del_upper(host: FakeHost, name: str) -> None:
    for pf, vf_id in _all(host):
        pf.vfs[vf_id].uppers -= {name}


def _set_up(host: FakeHost, netdev: str, up: bool) -> None:
    next(pf for pf in host.pfs.values() if pf.netdev == netdev).up = up


def _rename(host: FakeHost, netdev: str, name: str) -> None:
    """Name a VF's interface as no other is (net/core/dev.c, dev_change_name)."""
    taken = [one for pf, vf_id in _all(host) for one in pf.vfs[vf_id].interface_names(pf)]
    if name in (*taken, *(pf.netdev for pf in host.pfs.values())):
        raise ToolError(["ip"], 2, "RTNETLINK answers: File exists")
    if netdev not in taken:
        raise ToolError(["ip"], 1, f'Cannot find device "{netdev}"')
    pf, vf_id = _vf(host, netdev)
    pf.vfs[vf_id].name = name


def _add_address(host: FakeHost, address: str, netdev: str) -> None:
    host.addresses.setdefault(netdev, []).append(address)


def _del_address(host: FakeHost, address: str, netdev: str) -> None:
    host.addresses[netdev].remove(address)


ACTIONS: dict[str, Callable[..., None]] = {
    "netns add NAME": _add_namespace,
    "netns del NAME": _del_namespace,
    "link set dev NETDEV netns NAME": _move,
    "-n NAME link set dev NETDEV netns PID": _move_back,
    "link add dev NAME type bridge": _add_bridge,
    "link set dev NETDEV master NAME": _add_port,
    "link add link NETDEV name NAME type vlan id VLAN": _add_vlan,
    "link del dev NAME": _del_upper,
    "address add ADDRESS dev NETDEV": _add_address,
    "address del ADDRESS dev NETDEV": _del_address,
    "link set dev NETDEV name NAME": _rename,
    "link set dev NETDEV up": partial(_set_up, up=True),
    "link set dev NETDEV down": partial(_set_up, up=False),
}
"""What stands in capitals is any word."""
