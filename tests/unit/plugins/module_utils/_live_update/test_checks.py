# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Checks of VFs as operators write them."""

from __future__ import annotations

from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import checks, vm_choices
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from tests.fake.linux.pf import FakePf
from tests.fake.vm import update
from tests.fake.vm.node import FakeNode


@pytest.mark.parametrize(
    ("data", "words", "place"),
    [
        ({"agent": True}, "the guest agent", "host"),
        ({"arp": "192.0.2.7", "interface": "eth0.5"}, "ARP for 192.0.2.7 at eth0.5 of the host", "host"),
        ({"ping": "192.0.2.7"}, "ping of 192.0.2.7 from the controller", "controller"),
        ({"ping": "2001:DB8::7", "from": "host"}, "ping of 2001:db8::7 from the host", "host"),
        ({"command": ["/opt/look", "web1"]}, "command /opt/look on the controller", "controller"),
    ],
)
def test_what_is_given_comes_back(data: dict[str, Any], words: str, place: str) -> None:
    check = checks.parse({**dict.fromkeys(checks.KEYS), **data, "within_s": 5}, "x")
    assert check is not None
    assert (str(check), check.place, check.within_s) == (words, place, 5.0)
    assert checks.parse(check.to_dict(), "x") == check


@pytest.mark.parametrize("data", [None, {}])
def test_none_is_none(data: object) -> None:
    assert checks.parse(data, "x") is None


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ([], "is no mapping"),
        ({"ping": "192.0.2.7", "arp": "192.0.2.7"}, "found arp and ping"),
        ({"within_s": 5}, "give one of agent, arp, command, ping, found none"),
        ({"agent": False}, "found none"),
        ({"agent": "yes"}, "x.agent"),
        ({"ping": "web1"}, "x.ping: 'web1' is no IP address"),
        ({"ping": "-f"}, "x.ping"),
        ({"ping": 7}, "x.ping"),
        ({"ping": "192.0.2.7", "from": "moon"}, "x.from: 'moon'"),
        ({"ping": "192.0.2.7", "interface": "eth0"}, "x.interface: only with arp"),
        ({"agent": True, "from": "host"}, "x.from: only with ping"),
        ({"arp": "192.0.2.7"}, "x.interface: None"),
        ({"arp": "192.0.2.7", "interface": "../etc"}, "x.interface"),
        ({"arp": "2001:db8::7", "interface": "eth0"}, "which has no ARP"),
        ({"command": "look"}, "x.command"),
        ({"command": []}, "x.command"),
        ({"ping": "192.0.2.7", "within_s": 0}, "x.within_s"),
        ({"ping": "192.0.2.7", "within_s": True}, "x.within_s"),
        ({"ping": "192.0.2.7", "within_s": float("nan")}, "x.within_s"),
        ({"pong": "192.0.2.7"}, "x.pong: unknown key"),
    ],
)
def test_what_is_none_is_named(data: object, words: str) -> None:
    with pytest.raises(BadInputError, match=words):
        checks.parse(data, "x")


def test_a_wrong_check_is_found_before_anything_is_armed() -> None:
    with pytest.raises(BadInputError, match=r"vms\[0\].check.ping: 'x' is no IP address"):
        vm_choices.by_name([{"name": "web1", "check": {"ping": "x"}}])


def test_only_the_hosts_own_checks_are_in_the_manifest(node: FakeNode, pf: FakePf) -> None:
    """A command of the controller may have secrets."""
    node.vm("web2", pf, 2)
    ask = {"ping": "192.0.2.7", "from": "host", "within_s": 9}
    manifest = update.arm(
        node, vms={"web1": {"name": "web1", "check": ask}, "web2": {"name": "web2", "check": {"command": ["secret"]}}}
    )
    assert {vm.name: vm.check for vm in manifest.vms} == {"web1": ask, "web2": {}}
