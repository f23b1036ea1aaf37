# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Keys of the operator's objects, with notices of the rest."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.values import cut, printable

from ..conversion import Notice, flag

_HANDLED = (
    "nicSelector",
    "nodeSelector",
    "numVfs",
    "priority",
    "mtu",
    "deviceType",
    "eSwitchMode",
    "externallyManaged",
)
_STATE_KEYS = ("pciAddress", "name", "vfGroups", "vfRange", "policyName")
_FLAGS = ("externallyManaged", "isRdma", "needVhostNet", "excludeTopology")
_KUBERNETES = ("resourceName", "needVhostNet", "excludeTopology")
_NOT_CARRIED = {
    "isRdma": "a driver offers RDMA or not; declare node_guid and port_guid where VFs need them",
    "linkType": "it is a setting of the port's firmware; declare node_guid and port_guid of InfiniBand VFs",
    "vdpaType": "vDPA devices are not made here",
    "bridge": "Open vSwitch bridges are not made here",
    "eSwitchParams": "the multiport eswitch is not set here",
}

_Spec = Mapping[str, Any]
_POLICY = "SriovNetworkNodePolicy"
_NETWORKS = ("SriovNetwork", "SriovIBNetwork", "OVSNetwork")


def typed(spec: _Spec, where: str) -> _Spec:
    """A policy, PF or group whose flags are no texts."""
    return {key: flag(value, f"{where}.{key}") if key in _FLAGS and value else value for key, value in spec.items()}


def left(spec: _Spec, where: str) -> Iterator[Notice]:
    """Notices of keys that are not carried over."""
    plain = [key for key in _KUBERNETES if spec.get(key)]
    if plain:
        yield Notice(f"{where}.{', '.join(plain)}", "of Kubernetes alone; nothing on the host")
    for key, value in spec.items():
        if value and key in _NOT_CARRIED:
            yield Notice(f"{where}.{key}", _NOT_CARRIED[key])
        elif key not in (*_HANDLED, *_KUBERNETES, *_NOT_CARRIED, *_STATE_KEYS):
            near = difflib.get_close_matches(str(key), _HANDLED, 1)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            yield Notice(f"{where}.{key}", f"unknown, so not carried over{hint}")


def other_kind(kind: str, names: Sequence[str]) -> Notice:
    """Notice of objects that are neither policies nor states of nodes."""
    near = difflib.get_close_matches(kind.lower(), (_POLICY.lower(),), 1, 0.9)
    hint = "; what pods' VFs get can be declared for the VFs" if kind in _NETWORKS else ""
    hint = f"; did you mean '{_POLICY}'?" if near else hint
    return Notice(cut(printable(f"{kind} {', '.join(names)}")), f"not carried over{hint}")
