# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Declared services are active before a VM is started."""

from __future__ import annotations

import threading
import time
from dataclasses import replace

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _live_arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, save, way_out
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.longest import longest_s
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import OPTIONS, arm, live, request, result

OVS, SPDK = "ovs-vswitchd.service", "spdk.service"
DECLARED = replace(OPTIONS, host_services=(OVS, SPDK), start_s=5.0)


@pytest.fixture
def served(node: FakeNode, pf: FakePf) -> FakeNode:
    """A node with VM web1, and two services that are active."""
    node.systemd.services = {OVS: "active", SPDK: "active"}
    return node


def jumped(node: FakeNode, start_s: float = 5.0) -> None:
    arm(node, options=replace(DECLARED, start_s=start_s))
    with pytest.raises(Rebooted):
        save.run(node.live)
    node.calls.clear()


def becomes(node: FakeNode, **states: str) -> None:
    """They have these states a moment after they were asked to start."""
    known = {"ovs": OVS, "spdk": SPDK}

    def run(argv: list[str]) -> None:
        if argv[:3] == ["systemctl", "start", "--no-block"]:
            for number, (name, state) in enumerate(states.items(), 1):
                threading.Timer(0.15 * number, node.systemd.started, (known[name], state)).start()
        if argv[0] == "systemd-run":
            seen.append(dict(node.systemd.services))

    seen: list[dict[str, str]] = []
    node.on_run = run
    node.calls.clear()
    assert resume.resume(node.live) == ("done" if set(states.values()) == {"active"} else "failed")
    assert seen == [{known[name]: state for name, state in states.items()}]


def test_vms_wait_for_them(served: FakeNode) -> None:
    jumped(served)
    becomes(served, ovs="active", spdk="active")
    assert ["systemctl", "start", "--no-block", "--", OVS, SPDK] in served.calls
    assert live(served).status == "running"


@pytest.mark.parametrize("state", ["failed", "inactive"])
def test_one_that_cannot_be_started_keeps_no_vm_down(served: FakeNode, state: str) -> None:
    """It is named, and nobody waits for it until the deadline.

    It has failed, or something that it needs.
    """
    jumped(served, start_s=60.0)
    begin = time.monotonic()
    becomes(served, ovs="active", spdk=state)
    assert time.monotonic() - begin < 30
    assert live(served).status == "running"
    why = f"{SPDK} of host_services is {state}, VMs were started without it: see `systemctl status {SPDK}`"
    assert why in str(result(served)["error"])
    assert result(served)["vms"][0]["result"] == "restored"


@pytest.mark.parametrize("answers", [True, False])
def test_one_that_is_never_active_is_awaited_for_its_time(served: FakeNode, answers: bool) -> None:
    jumped(served, start_s=0.3)
    run = served.live.run

    def asked(argv: list[str]) -> str:
        if not answers and argv[0] == "systemctl":
            raise ToolError(argv, 1, "Failed to connect to bus")
        return run(argv)

    object.__setattr__(served.live, "run", asked)
    assert resume.resume(served.live) == "failed"
    assert live(served).status == "running"
    assert f"{OVS} of host_services is {'inactive' if answers else 'unknown ('}" in str(result(served)["error"])


def test_one_that_was_not_active_is_not_started(served: FakeNode) -> None:
    served.systemd.services[SPDK] = "inactive"
    jumped(served)
    served.on_run = lambda argv: served.systemd.services.update({OVS: "active"}) if argv[1] == "start" else None
    assert resume.resume(served.live) == "done"
    assert ["systemctl", "start", "--no-block", "--", OVS] in served.calls


def test_on_another_kernel_too(served: FakeNode) -> None:
    jumped(served)
    served.kexec("BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet")
    served.on_run = lambda argv: (
        served.systemd.services.update(dict.fromkeys((OVS, SPDK), "active"))
        if (argv[:2] == ["systemctl", "start"])
        else None
    )
    assert way_out.come_back(served.live) == "failed"  # it is another kernel
    assert ["systemctl", "start", "--no-block", "--", OVS, SPDK] in served.calls
    assert "host_services" not in str(result(served)["error"])


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/run/systemd/transient/spdk.service", "its file /run/systemd/transient/spdk.service goes with the kexec"),
        ("", "it has no file"), ("/usr/lib/systemd/system/spdk.service", None),
        ("/run/systemd/generator/spdk.service", None),
    ],
)  # fmt: skip
def test_one_that_no_boot_starts_is_refused(served: FakeNode, path: str, text: str | None) -> None:
    served.systemd.paths[SPDK] = path
    _facts, verdict = _live_arm.examine(served.live, request(options=DECLARED))
    found = [one.problem for one in verdict.refusals if one.code == "host-service"]
    assert found == (
        [] if text is None else [f"{SPDK} of host_services is active, and no boot can start it again: {text}"]
    )


def test_their_time_is_counted() -> None:
    assert longest_s(DECLARED, 1) - longest_s(replace(DECLARED, host_services=()), 1) == DECLARED.start_s
