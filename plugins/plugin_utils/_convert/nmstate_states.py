# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network states in the objects that have them.

kubernetes-nmstate's api; openshift/installer, types/agent (AgentConfig); the assisted service's NMStateConfig.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Union

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.values import printable

from .conversion import Notice, listing, mapping
from .hosts import Part, is_for, objects

_KINDS = (
    "NodeNetworkConfigurationPolicy",
    "NodeNetworkState",
    "NMStateConfig",
    "AgentConfig",
    "InstallConfig",
)
_Labels = Union[Mapping[str, Any], None]


def states(data: object, labels: _Labels) -> Iterator[Part | Notice]:
    """States with their hosts, and notices of the rest."""
    for index, one in enumerate(objects(data, "network state")):
        name = _text(mapping(one.get("metadata"), "metadata").get("name"))
        kind = _text(one.get("kind"))
        what = f"{kind or 'document'} {name or index}" if kind or index else "network state"
        if kind is not None and kind not in _KINDS:
            yield Notice(printable(what), "not of nmstate, so not carried over")
            continue
        for part in _of_object(one, labels, name):
            yield part if isinstance(part, Notice) else part._replace(what=printable(what))


def _of_object(one: Mapping[str, Any], labels: _Labels, name: str | None) -> Iterator[Part | Notice]:
    spec, status = mapping(one.get("spec"), "spec"), mapping(one.get("status"), "status")
    baremetal = mapping(mapping(one.get("platform"), "platform").get("baremetal"), "platform.baremetal")
    if "hosts" in one or "hosts" in baremetal:
        where = "hosts" if "hosts" in one else "platform.baremetal.hosts"
        yield from _of_hosts(listing((one if "hosts" in one else baremetal)["hosts"], where), where)
    elif "currentState" in status:
        yield Part("status.currentState", mapping(status["currentState"], "status.currentState"), name)
    elif "config" in spec:
        yield Part("spec.config", mapping(spec["config"], "spec.config"), name)
    elif "spec" in one:
        yield from _of_policy(spec, labels, "spec.")
    elif "desiredState" in one:
        yield from _of_policy(one, labels, "")
    else:
        yield Part("network state", one)


def _of_policy(spec: Mapping[str, Any], labels: _Labels, prefix: str) -> Iterator[Part | Notice]:
    """State of a policy, of Kubernetes or nmpolicy, for this host."""
    where = f"{prefix}nodeSelector"
    selector = mapping(spec.get("nodeSelector"), where)
    others = [key for key in spec if key not in ("desiredState", "nodeSelector", "kind", "metadata", "apiVersion")]
    if others:
        yield Notice(f"{prefix}{', '.join(map(str, others))}", "not of SR-IOV; stays with nmstate")
    if labels is not None and not is_for(selector, labels):
        yield Notice(where, "not for a host with these labels")
        return
    if labels is None and selector:
        yield Notice(where, "not looked at; give the node's labels, or choose hosts by inventory")
    yield Part(f"{prefix}desiredState", mapping(spec.get("desiredState"), f"{prefix}desiredState"))


def _of_hosts(hosts: list[Any], path: str) -> Iterator[Part | Notice]:
    """States of an agent's or installer's hosts; some have none."""
    for index, item in enumerate(hosts):
        host = mapping(item, f"{path}[{index}]")
        where = f"{path}[{index}].networkConfig"
        name = _text(host.get("hostname", host.get("name"))) or f"{path}[{index}]"
        given = host.get("networkConfig")
        yield Part(where, {"interfaces": []} if given is None else mapping(given, where), name)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
