# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unplugging on a real QEMU, whose guest answers on demand.

A small device is in place of a VF.
"""

from __future__ import annotations

import contextlib
import signal
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.properties import VfProperties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import StragglerError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import argv as _argv
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVf, ManifestVm
from tests.fake.vm.boot_sector import SWITCH, boot_sector
from tests.fake.vm.real import NEEDS_QEMU, Machine, running
from tests.fake.vm.ticking import monitor, wait_for_guest

pytestmark = [*NEEDS_QEMU]
SMALL = "virtio-rng-pci"
NATIVE = ("-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Words of a command line with the guest and its device."""
    monkeypatch.setattr(_argv, "VFIO", (SMALL,))
    with tempfile.NamedTemporaryFile(prefix="kf") as disk:
        disk.write(boot_sector().ljust(1 << 20, b"\0"))
        disk.flush()
        yield [
            "-drive", f"file={disk.name},format=raw,if=none,id=d", "-device", "ide-hd,drive=d",
            "-device", f"{SMALL},id=r0,bus=rp1",
        ]  # fmt: skip


@pytest.fixture
def machine(words: list[str]) -> Iterator[Machine]:
    with running(*words) as found:
        wait_for_guest(found)
        yield found


def vm_of(machine: Machine) -> ManifestVm:
    """A VM whose only VF is the small device.

    That has no address.
    """
    vm = machine.vm({})
    device = {"driver": SMALL, "id": "r0", "bus": "rp1"}
    return replace(
        vm, vfs=(ManifestVf("0000:03:00.0", 0, "", VfProperties()),), part={**vm.part, "devices": {"": device}}
    )


def answer(machine: Machine) -> None:
    """Let the guest answer what it is asked from now on."""
    monitor(machine, f"o /b 0x70 {SWITCH}")
    monitor(machine, "o /b 0x71 1")


def devices(machine: Machine) -> list[str]:
    with _qmp.connect(machine.qmp) as qmp:
        return [item["name"] for item in qmp.execute("qom-list", path="/machine/peripheral") if item["name"][0] == "r"]


def reset(machine: Machine) -> list[str]:
    """Reset the VM; names of the events that followed."""
    with _qmp.connect(machine.qmp) as qmp:
        qmp.execute("system_reset")
        qmp.wait_event(lambda event: event["event"] == "RESET", "the reset", 20.0)
        time.sleep(1)
        qmp.execute("query-status")
        return [event["event"] for event in qmp.events]


def wait_until(machine: Machine, names: list[str]) -> None:
    until = time.monotonic() + 30
    while devices(machine) != names:
        assert time.monotonic() < until, f"devices are {devices(machine)}"
        time.sleep(0.1)


def test_a_guest_that_obeys(machine: Machine) -> None:
    answer(machine)
    object.__setattr__(machine.backend, "deadlines", replace(machine.backend.deadlines, unplug_s=30.0))
    vm, state = vm_of(machine), str(machine.folder / "state")
    machine.backend.release(vm, state)
    assert (devices(machine), machine.status()) == (["rp1"], "running")
    machine.backend.save(vm, state)
    monitor(machine, "o /b 0x71 0")
    machine.backend.undo(vm, state)
    assert machine.backend.settle(vm, state) is None
    assert (devices(machine), machine.status()) == (["rp1", "r0"], "running")
    with pytest.raises(SriovError, match=r"has VF  \(r0\) although it released all: it is not saved"):
        machine.backend.save(vm, state)
    assert machine.status() == "running"


def test_a_guest_that_is_deaf_loses_it_at_its_next_reboot(machine: Machine) -> None:
    """Nothing takes the request back; what is said is true."""
    vm, state = vm_of(machine), str(machine.folder / "state")
    with pytest.raises(StragglerError):
        machine.backend.release(vm, state)
    machine.backend.undo(vm, state)
    left = machine.backend.settle(vm, state)
    assert "at the latest when it is rebooted" in str(left)
    assert devices(machine) == ["rp1", "r0"]
    with _qmp.connect(machine.qmp) as qmp:
        qmp.execute("device_del", id="r0")  # asked again, without an error
        with pytest.raises(_qmp.QmpError, match="Duplicate device ID"):
            qmp.execute("device_add", driver=SMALL, id="r0", bus="rp1")
        with pytest.raises(_qmp.QmpError, match="already occupied"):
            qmp.execute("device_add", driver=SMALL, id="r1", bus="rp1")
    assert "DEVICE_DELETED" in reset(machine)
    assert devices(machine) == ["rp1"]
    assert machine.backend.settle(vm, state) is None
    assert devices(machine) == ["rp1", "r0"]


def test_a_guest_that_answers_late_gets_it_back(machine: Machine) -> None:
    vm, state = vm_of(machine), str(machine.folder / "state")
    with pytest.raises(StragglerError):
        machine.backend.release(vm, state)
    machine.backend.undo(vm, state)
    answer(machine)
    wait_until(machine, ["rp1"])
    assert machine.backend.settle(vm, state) is None
    assert devices(machine) == ["rp1", "r0"]
    assert "DEVICE_DELETED" not in reset(machine)
    assert devices(machine) == ["rp1", "r0"]


def test_native_hotplug_forgets_the_request_at_a_reboot(words: list[str]) -> None:
    with running(*words, *NATIVE) as machine:
        wait_for_guest(machine)
        vm, state = vm_of(machine), str(machine.folder / "state")
        with pytest.raises(StragglerError):
            machine.backend.release(vm, state)
        with _qmp.connect(machine.qmp) as qmp:
            with contextlib.suppress(_qmp.QmpError):  # five seconds later the button is pressed again
                qmp.execute("device_del", id="r0")
            with pytest.raises(_qmp.QmpError, match="already in the process of unplug"):
                qmp.execute("device_del", id="r0")
        machine.backend.undo(vm, state)
        assert "DEVICE_DELETED" not in reset(machine)
        assert devices(machine) == ["rp1", "r0"]


@pytest.mark.parametrize("extra", [(), ("-no-shutdown",)])
def test_a_guest_that_is_asked_to_shut_down(words: list[str], extra: tuple[str, ...]) -> None:
    with running(*words, *extra) as machine:
        wait_for_guest(machine)
        object.__setattr__(machine.backend, "deadlines", replace(machine.backend.deadlines, shutdown_s=30.0))
        machine.reap()
        machine.backend.power_down(vm_of(machine))
        # QEMU 10.0.2 was once seen to crash on its own way out, after the guest was off and power_down had returned
        assert machine.processes[0].wait(10) in (0, -signal.SIGSEGV)
