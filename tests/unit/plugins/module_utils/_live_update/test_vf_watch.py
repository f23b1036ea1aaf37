# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The watch for VFs: when the outage of a VM is over."""

from __future__ import annotations

import errno
import threading
import time
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, save, vf_watch
from tests.fake.linux.pf import FakePf
from tests.fake.vm.agent import FakeAgent
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import PROPERTIES, arm, live, phase, result

ADDRESS = "192.0.2.7"
PING = {"ping": ADDRESS, "from": "host"}
ARP = {"arp": ADDRESS, "interface": "eth0.5"}
MAC = str(PROPERTIES["mac"])
OTHER = "02:00:00:00:00:99"
AGENT = "/run/kvmfleet-vm/web1.ga"
WORDS = (
    "-chardev", f"socket,id=ga,path={AGENT},server=on,wait=off", "-device", "virtio-serial",
    "-device", "virtserialport,chardev=ga,name=org.qemu.guest_agent.0",
)  # fmt: skip


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vf_watch, "ATTEMPT_PAUSE_S", 0.01)


def updated(node: FakeNode, check: dict[str, Any], within_s: float = 5.0) -> dict[str, Any]:
    """Update the node; the result of its VM."""
    arm(node, vms={"web1": {"name": "web1", "check": {**check, "within_s": within_s}}})
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert resume.resume(node.live) == "done"
    return dict(result(node)["vms"][0])


def test_a_vf_is_seen_when_its_address_answers(node: FakeNode, pf: FakePf) -> None:
    """The guest needs a while for its VF."""
    node.answers[ADDRESS] = [OSError(errno.ENETUNREACH, "x"), None, None, MAC]
    vm = updated(node, PING)
    assert (vm["seen_by"], vm["not_seen"]) == ("ping of 192.0.2.7 from the host", None)
    assert vm["seen_at"] >= vm["resumed_at"] + 0.03
    assert node.answers[ADDRESS] == [MAC]


def test_a_vf_that_is_not_seen_is_said_and_nothing_else_fails(node: FakeNode, pf: FakePf) -> None:
    vm = updated(node, PING, 0.05)
    assert (vm["result"], vm.get("seen_at")) == ("restored", None)
    assert vm.get("not_seen") == "192.0.2.7 does not answer a ping, for 0.05 s"
    assert result(node)["result"] == "updated"
    assert "its VF was not seen to work" in " ".join(node.log)


def test_the_wait_is_a_phase(node: FakeNode, pf: FakePf) -> None:
    """It explains the time until then."""
    seen: list[str] = []

    class Late(list[Any]):
        def __len__(self) -> int:
            seen.append(phase(node))
            if "checking" not in seen:
                return 2
            time.sleep(0.2)  # the answer takes longer than a resume that does not wait
            return 1

        def pop(self, _at: object = 0) -> None:
            return None

    node.answers[ADDRESS] = Late([MAC])
    threads = threading.active_count()
    updated(node, PING)
    assert threading.active_count() == threads
    assert "done" not in seen
    assert [one["name"] for one in result(node)["phases"]][-2:] == ["filling", "checking"]


def test_without_a_check_nothing_is_said(node: FakeNode, pf: FakePf) -> None:
    vm = updated(node, {"command": ["true"]})
    assert not {"seen_at", "seen_by", "not_seen"} & set(vm)
    assert "checking" not in [one["name"] for one in result(node)["phases"]]


def test_arp_is_answered_by_a_vf_of_this_vm(node: FakeNode, pf: FakePf) -> None:
    node.answers[ADDRESS] = [None, OTHER, MAC]
    assert updated(node, ARP)["seen_at"] is not None


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (OTHER, f"192.0.2.7 is {OTHER}, which is no VF of this VM"),
        (None, "nobody at eth0.5 answers ARP for 192.0.2.7"),
        (OSError(errno.ENODEV, "x"), "No such device"),
    ],
)
def test_arp_that_shows_nothing(node: FakeNode, pf: FakePf, answer: Any, words: str) -> None:  # noqa: ANN401 - as a fake takes it
    node.answers[ADDRESS] = [answer]
    assert updated(node, ARP, 0.05)["not_seen"] == f"{words}, for 0.05 s"


def interface(received: object, mac: str = MAC.upper(), address: str = ADDRESS) -> list[object]:
    return [{"name": "lo", "hardware-address": "00:00:00:00:00:00", "ip-addresses": [{"ip-address": "127.0.0.1"}]},
            {"name": "ens1", "hardware-address": mac, "ip-addresses": [{"ip-address": address, "prefix": 24}],
             "statistics": {"rx-packets": received, "tx-packets": 99}}]  # fmt: skip


def by_agent(node: FakeNode, answers: list[object], within_s: float) -> dict[str, Any]:
    qemu = live(node)
    qemu.argv += WORDS
    node.put(f"/proc/{qemu.pid}/cmdline", "\0".join([*qemu.argv, ""]))

    def serve(words: list[str]) -> None:
        if words[0] == "systemd-run" and "-name" in words:
            FakeAgent(node.host.sysfs.real(AGENT)).interfaces = answers

    node.on_run = serve
    return updated(node, {"agent": True}, within_s)


def test_the_guest_agent_shows_what_a_vf_receives(node: FakeNode, pf: FakePf) -> None:
    vm = by_agent(node, [[], interface(7, address="fe80::1"), interface(7), interface(7), interface(8)], 5)
    assert (vm["seen_by"], vm["seen_at"] is not None) == ("the guest agent", True)


@pytest.mark.parametrize(
    ("answers", "words"),
    [
        (interface(7), f"interface {MAC} of the guest receives nothing"),
        (interface(7, mac=OTHER), f"the guest agent reports no interface {MAC}"),
        (interface(7, address="fe80::1"), f"the guest agent reports no address of interface {MAC}"),
        (interface("x"), f"the guest agent reports no counters of interface {MAC}"),
        (interface(True), f"the guest agent reports no counters of interface {MAC}"),
        ({"a": "b"}, f"the guest agent reports no interface {MAC}"),
        ([1, None, {"hardware-address": 7}], f"the guest agent reports no interface {MAC}"),
    ],
)
def test_an_agent_that_shows_nothing(node: FakeNode, pf: FakePf, answers: object, words: str) -> None:
    assert by_agent(node, [answers], 0.3)["not_seen"] == f"{words}, for 0.3 s"


def test_a_guest_without_an_agent(node: FakeNode, pf: FakePf) -> None:
    assert "no socket of a guest agent" in updated(node, {"agent": True}, 0.05)["not_seen"]


def test_an_update_that_was_given_up_looks_too(node: FakeNode, pf: FakePf) -> None:
    """VFs were unplugged and are plugged again then."""
    node.answers[ADDRESS] = [None, MAC]
    arm(node, vms={"web1": {"name": "web1", "check": PING}})
    node.scripts["web1"].migrate = "fails"
    assert save.run(node.live) == "aborted"
    vm = result(node)["vms"][0]
    assert (vm["result"], vm["seen_by"]) == ("resumed-here", "ping of 192.0.2.7 from the host")
    assert vm["seen_at"] >= vm["resumed_at"]


def test_a_vm_that_does_not_come_back_is_not_looked_at(node: FakeNode, pf: FakePf) -> None:
    """Its address may be somebody else's by now."""
    node.answers[ADDRESS] = [MAC]
    arm(node, vms={"web1": {"name": "web1", "check": PING}})
    with pytest.raises(Rebooted):
        save.run(node.live)
    node.scripts["web1"].incoming = "fails"
    assert resume.resume(node.live) == "failed"
    assert "seen_at" not in result(node)["vms"][0]
