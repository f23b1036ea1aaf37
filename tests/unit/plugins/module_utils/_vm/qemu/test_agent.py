# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The clock of a guest that went on is set."""

from __future__ import annotations

import time

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, save
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import agent, backend
from tests.fake.linux.pf import FakePf
from tests.fake.vm.agent import FakeAgent
from tests.fake.vm.node import FakeNode
from tests.fake.vm.update import arm, jump, live, result

PATH = "/run/kvmfleet-vm/web1.ga"
WORDS = (
    "-chardev", f"socket,id=ga,path={PATH},server=on,wait=off", "-device", "virtio-serial",
    "-device", "virtserialport,chardev=ga,name=org.qemu.guest_agent.0",
)  # fmt: skip


def start(node: FakeNode, manner: str, monkeypatch: pytest.MonkeyPatch) -> list[FakeAgent]:
    """The VM with an agent, which each new QEMU serves.

    Those that answer have ten seconds for it.
    """
    monkeypatch.setattr(backend, "AGENT_S", 0.5 if manner in ("silent", "floods") else 10.0)
    agents: list[FakeAgent] = []
    qemu = live(node)
    qemu.argv += WORDS
    node.put(f"/proc/{qemu.pid}/cmdline", "\0".join([*qemu.argv, ""]))

    def serve(words: list[str]) -> None:
        if words[0] == "systemd-run" and "-name" in words:
            agents.append(FakeAgent(node.host.sysfs.real(PATH), manner))

    node.on_run = serve
    return agents


@pytest.mark.parametrize("manner", ["ok", "chatty"])
def test_the_clock_is_set(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch, manner: str) -> None:
    agents = start(node, manner, monkeypatch)
    jump(node)
    before = time.time_ns()
    assert resume.resume(node.live) == "done"
    assert result(node)["vms"][0]["clock"] == "set"
    (stamp,) = agents[0].times
    assert before <= stamp <= time.time_ns()


@pytest.mark.parametrize(
    ("manner", "text"),
    [
        ("refuses", "not set: the guest agent refused guest-set-time: Failed to set system time: ?[1mno?[0m"),
        ("silent", "not set: the guest agent does not answer"),
        ("floods", "not set: the guest agent does not answer"),
        ("closes", "not set: the connection to the guest agent was closed"),
    ],
)
def test_a_clock_that_is_not_set_is_said_and_no_more(
    node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch, manner: str, text: str
) -> None:
    start(node, manner, monkeypatch)
    jump(node)
    assert resume.resume(node.live) == "done"
    assert (result(node)["vms"][0]["clock"], result(node)["vms"][0]["result"]) == (text, "restored")
    assert live(node).status == "running"


def test_without_an_agent(node: FakeNode, pf: FakePf) -> None:
    jump(node)
    assert resume.resume(node.live) == "done"
    assert result(node)["vms"][0]["clock"] == "not set: no guest agent"


def test_an_agent_whose_socket_is_not_there(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> None:
    start(node, "ok", monkeypatch)
    node.on_run = lambda words: None
    jump(node)
    assert resume.resume(node.live) == "done"
    assert result(node)["vms"][0]["clock"] == f"not set: no guest agent at {PATH}: No such file or directory"


def test_a_guest_that_goes_on_here_was_stopped_too(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> None:
    start(node, "ok", monkeypatch)
    found = FakeAgent(node.host.sysfs.real(PATH))
    arm(node)
    node.scripts["web1"].migrate = "fails"
    assert save.run(node.live) == "aborted"
    assert len(found.times) == 1


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (WORDS, PATH), (WORDS[:2], None), (WORDS[2:], None), (("-chardev", "socket,id=ga,path=/x", *WORDS[4:]), None),
        (("-chardev", "socket,id=ga,path=/x,server", "-device",
          '{"driver":"virtserialport","chardev":"ga","name":"org.qemu.guest_agent.0"}'), "/x"),
        (("-chardev", "socket,id=ga,path=/x,server=on", "-device", "virtserialport,chardev=ga,name=x.0"), None),
    ],
)  # fmt: skip
def test_sockets_of_agents(words: tuple[str, ...], path: str | None) -> None:
    assert agent.socket_path(["qemu", *words]) == path
