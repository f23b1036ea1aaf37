# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads that were pinned one by one are pinned again."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import threads
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.part import QemuPart
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode
from tests.fake.vm.real import PROGRAM, running
from tests.fake.vm.update import claim, jump, live, result, updated

PINS = {"CPU 0": "2", "CPU 1": "3,5", "I/O thread io0": "6-7"}


def ids(node: FakeNode) -> dict[str, int]:
    pid = live(node).pid
    return {"CPU 0": pid + 10_000, "CPU 1": pid + 20_000, "I/O thread io0": pid + 30_000}


def pin(node: FakeNode, pins: dict[str, str]) -> None:
    for name, cpus in pins.items():
        node.run(["taskset", "--cpu-list", "--pid", cpus, str(ids(node)[name])])


def test_pinned_threads_stay_pinned_over_two_updates(node: FakeNode, pf: FakePf) -> None:
    pin(node, PINS)
    seen = []
    node.on_run = lambda words: seen.append(live(node).status) if words[0] == "taskset" else None
    for _update in range(2):
        updated(node)
        assert threads.pinned(node.host.sysfs, live(node).pid, ids(node)) == PINS
        node.live.folder.forget()
    assert set(seen) == {"inmigrate"}


def test_threads_that_run_where_their_process_does(node: FakeNode, pf: FakePf) -> None:
    pin(node, {"CPU 0": "0-7", "CPU 1": "1"})
    updated(node)
    assert threads.pinned(node.host.sysfs, live(node).pid, ids(node)) == {"CPU 1": "1"}
    assert len([call for call in node.calls if call[0] == "taskset"]) == 3


def test_a_thread_that_is_not_there(node: FakeNode, pf: FakePf) -> None:
    pin(node, PINS)
    jump(node)
    node.scripts["web1"].answers["query-iothreads"] = []
    assert resume.resume(node.live) == "failed"
    assert "no thread for I/O thread io0, which was pinned to CPUs 6-7" in result(node)["vms"][0]["error"]
    assert (claim(node).state, node.live_vm("web1")) == ("failed", None)


@pytest.mark.heavy
@pytest.mark.skipif(PROGRAM is None, reason="qemu-system-x86_64 is not installed")
def test_virtual_cpus_of_a_real_qemu() -> None:
    with running() as machine:
        vm, state = machine.vm({}), str(machine.folder / "state")
        vm = replace(vm, part={**vm.part, "pins": {"CPU 0": "0"}})
        machine.backend.release(vm, state)
        machine.backend.save(vm, state)
        machine.reap()
        machine.backend.discard(vm)
        machine.backend.restore(vm, state, {}, True, lambda: None)
        with _qmp.connect(machine.qmp) as qmp:
            assert threads.pinned(Sysfs(), machine.processes[-1].pid, threads.read(qmp)) == {"CPU 0": "0"}


def test_pins_of_a_manifest() -> None:
    part = {"qmp": "/run/q", "argv": ["q"], "restore_argv": ["q"], "cwd": "/", "devices": {}}
    wrongs: tuple[object, ...] = ([], {"CPU 0": 1})
    for wrong in wrongs:
        with pytest.raises(BadInputError, match=r"x\.pins: expected an object of texts"):
            QemuPart.parse({**part, "pins": wrong}, "x")
