# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Network states in the objects that have them.

kubernetes-nmstate's api; openshift/installer, types/agent (AgentConfig); the assisted service's NMStateConfig.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Union

from .conversion import Notice, listing, mapping
from .hosts import Part, objects

_Labels = Union[Mapping[str, Any], None]


def states(data: object, labels: _Labels) -> Iterator[Part | Notice]:
    """States with their hosts, and notices of the rest."""
    for one in objects(data, "network state"):
        yield from _of_object(one, labels)


def _of_object(one: Mapping[str, Any], labels: _Labels) -> Iterator[Part | Notice]:
    spec, status = mapping(one.get("spec"), "spec"), mapping(one.get("status"), "status")
    name = mapping(one.get("metadata"), "metadata").get("name")
    if "hosts" in one:
        yield from _of_agent(listing(one["hosts"], "hosts"))
    elif "currentState" in status:
        yield Part("status.currentState", mapping(status["currentState"], "status.currentState"), _text(name))
    elif "config" in spec:
        yield Part("spec.config", mapping(spec["config"], "spec.config"), _text(name))
    elif "spec" in one:
        yield from _of_policy(spec, labels)
    else:
        yield Part("network state", one)


def _of_policy(spec: Mapping[str, Any], labels: _Labels) -> Iterator[Part | Notice]:
    selector = mapping(spec.get("nodeSelector"), "spec.nodeSelector")
    others = [key for key in spec if key not in ("desiredState", "nodeSelector")]
    if others:
        yield Notice(f"spec.{', '.join(map(str, others))}", "not of SR-IOV; stays with nmstate")
    if labels is not None and any(str(labels.get(key)) != str(value) for key, value in selector.items()):
        yield Notice("spec.nodeSelector", "not for a host with these labels")
        return
    if labels is None and selector:
        yield Notice("spec.nodeSelector", "not looked at; give the node's labels, or choose hosts by inventory")
    yield Part("spec.desiredState", mapping(spec.get("desiredState"), "spec.desiredState"))


def _of_agent(hosts: list[Any]) -> Iterator[Part | Notice]:
    for index, item in enumerate(hosts):
        host = mapping(item, f"hosts[{index}]")
        where = f"hosts[{index}].networkConfig"
        name = _text(host.get("hostname", host.get("name"))) or f"hosts[{index}]"
        if host.get("networkConfig") is not None:
            yield Part(where, mapping(host["networkConfig"], where), name)


def _text(value: object) -> str | None:
    return None if value is None else str(value)
