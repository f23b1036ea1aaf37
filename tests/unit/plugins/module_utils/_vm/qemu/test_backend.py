# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend against a real QEMU, without guest and VFs."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import state_file
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import StragglerError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import argv as _qemu_argv
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import devices as _qemu_devices
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp as _qmp
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.guest import Guest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.part import QemuPart
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.properties import NUMBER, UNSET, DeviceProperties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.unplug import Unplug
from tests.fake.vm.real import NEEDS_QEMU, Machine, running

pytestmark = [*NEEDS_QEMU]
SMALL = "virtio-rng-pci"


@pytest.fixture
def machine() -> Iterator[Machine]:
    with running() as found:
        yield found


def test_save_undo_save_release_restore(machine: Machine) -> None:
    probe = machine.backend.ask(machine.qmp, machine.argv)
    assert (probe.pid, probe.status, probe.problems) == (machine.processes[0].pid, "running", ())
    assert probe.machines["q35"].startswith("pc-q35-")
    vm, state = machine.vm(probe.machines), str(machine.folder / "state")
    machine.backend.save(vm, state)
    with pytest.raises(SriovError, match="is postmigrate, not running"):
        machine.backend.save(vm, state)
    machine.backend.undo(vm, state)
    saved = machine.backend.save(vm, state)
    assert saved.stopped_at < saved.saved_at
    machine.backend.discard(vm)
    machine.processes[0].wait(10)
    state_file.verify(state, saved.fingerprint)
    order: list[str] = []
    machine.backend.restore(vm, state, {}, True, lambda: order.append("before"))
    assert order == ["before"]
    assert machine.status() == "running"
    machine.backend.restore(vm, state, {}, False, lambda: order.append("again"))
    assert order == ["before"]


def test_damaged_state_is_an_error_with_qemus_words_and_can_be_tried_again(machine: Machine) -> None:
    vm, state = machine.vm({}), machine.folder / "state"
    saved = machine.backend.save(vm, str(state))
    good = state.read_bytes()
    machine.backend.discard(vm)
    state.write_bytes(good[: len(good) // 2])
    with pytest.raises(BadInputError, match="were saved"):
        state_file.verify(str(state), saved.fingerprint)
    with pytest.raises(SriovError):
        machine.backend.restore(vm, str(state), {}, True, lambda: None)
    assert machine.backend.withdraw(vm)
    state.write_bytes(good)
    machine.backend.restore(vm, str(state), {}, True, lambda: None)


def test_save_to_a_place_that_does_not_exist_leaves_it_to_be_continued(machine: Machine) -> None:
    vm = machine.vm({})
    with pytest.raises(SriovError, match=r"cannot create .*none/state"):
        machine.backend.save(vm, str(machine.folder / "none/state"))
    machine.backend.undo(vm, str(machine.folder / "none/state"))
    assert machine.status() == "running"


LEFT_ON = ("mapped-ram", "x-ignore-shared", "events", "multifd", "auto-converge")


def capabilities(machine: Machine) -> set[str]:
    with _qmp.connect(machine.qmp) as qmp:
        return {one["capability"] for one in qmp.execute("query-migrate-capabilities") if one["state"]}


def bandwidth(machine: Machine) -> int:
    with _qmp.connect(machine.qmp) as qmp:
        return int(qmp.execute("query-migrate-parameters")["max-bandwidth"])


def leave_on(machine: Machine) -> None:
    with _qmp.connect(machine.qmp) as qmp:
        settings = [{"capability": name, "state": True} for name in LEFT_ON]
        qmp.execute("migrate-set-capabilities", capabilities=settings)
        qmp.execute("migrate-set-parameters", **{"max-bandwidth": 1 << 20})


def test_what_others_left_on_is_not_inherited(machine: Machine) -> None:
    """Each makes a state that cannot be loaded, or lacks memory."""
    leave_on(machine)
    vm, state = machine.vm({}), str(machine.folder / "state")
    machine.backend.save(vm, state)
    assert capabilities(machine) == set()
    machine.backend.discard(vm)
    machine.backend.restore(vm, state, {}, True, lambda: None)
    assert machine.status() == "running"


def test_an_undone_save_puts_settings_back(machine: Machine) -> None:
    leave_on(machine)
    vm, state = machine.vm({}), str(machine.folder / "state")
    for _attempt in range(2):
        machine.backend.save(vm, state)
        machine.backend.undo(vm, state)
        assert (machine.status(), capabilities(machine), bandwidth(machine)) == ("running", set(LEFT_ON), 1 << 20)
    assert not (machine.folder / "state.settings").exists()


def test_running_vm_is_never_released_nor_killed(machine: Machine) -> None:
    vm = machine.vm({})
    with pytest.raises(SriovError, match="is running after its save: it is not ended"):
        machine.backend.discard(vm)
    assert not machine.backend.withdraw(vm)
    assert machine.processes[0].poll() is None


def test_devices_are_found_and_plugged_again_at_their_place(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small device in place of vfio-pci.

    Type, bus, slot and JSON types are what matters.
    """
    monkeypatch.setattr(_qemu_argv, "VFIO", (SMALL,))
    monkeypatch.setattr(_qemu_devices, "DRIVER", SMALL)
    given = f"{SMALL},id=r0,bus=rp1,multifunction=off,max-bytes=1024"
    with _qmp.connect(machine.qmp) as qmp:
        properties = DeviceProperties.read(qmp, SMALL)
        typed = properties.typed(_qemu_argv.parse(given, "driver"))
        assert typed == {"driver": SMALL, "id": "r0", "bus": "rp1", "multifunction": False, "max-bytes": 1024}
        qmp.execute("device_add", **typed)
        (found,) = _qemu_devices.vfio_devices(qmp, machine.argv)
        assert (found.handle, found.path, found.hotplugged, found.problem) == (
            "r0", "/machine/peripheral/r0", True, None,
        )  # fmt: skip
        assert {key: found.arguments[key] for key in ("bus", "addr", "max-bytes")} == {
            "bus": "rp1", "addr": "00.0", "max-bytes": 1024,
        }  # fmt: skip


NIC = "virtio-net-pci"
GIVEN = {
    "bootindex": 3, "rombar": 0, "x-pcie-ext-tag": False, "acpi-index": 7, "tx": "bh", "mq": True, "romfile": "",
    "mac": "52:54:00:12:34:56", "host_mtu": 1400, "failover_pair_id": None,
}  # fmt: skip


def test_what_a_device_was_given_is_read_from_itself(machine: Machine) -> None:
    """A network device in place of vfio-pci."""
    given: dict[str, Any] = {name: value for name, value in GIVEN.items() if value is not None}
    with _qmp.connect(machine.qmp) as qmp:
        properties = DeviceProperties.read(qmp, NIC)
        qmp.execute("device_add", driver=NIC, id="n0", bus="rp1", **given)
        found = properties.set_on(qmp, "/machine/peripheral/n0")
    assert {name: found.get(name) for name in GIVEN} == GIVEN | {"romfile": None}
    assert set(found) - set(given) <= {"romsize", "vectors", "disable-legacy"}


def test_vfio_pci_names_its_defaults(machine: Machine) -> None:
    """Of numbers without one, nothing is passed on but what is known."""
    with _qmp.connect(machine.qmp) as qmp:
        properties = DeviceProperties.read(qmp, "vfio-pci")
    silent = {name for name, kind in properties.types.items() if re.fullmatch(NUMBER, kind)} - set(properties.defaults)
    assert silent == set(UNSET)
    assert {"failover_pair_id", "bootindex", "rombar", "x-no-mmap", "display"} <= set(properties.types)


def test_guest_that_never_answers_an_unplug(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A device that no guest releases; it stays, and the machine too."""
    with _qmp.connect(machine.qmp) as qmp:
        qmp.execute("device_add", driver=SMALL, id="r0", bus="rp1")
        monkeypatch.setattr(_qemu_argv, "VFIO", (SMALL,))
        devices = _qemu_devices.vfio_devices(qmp, machine.argv)
        vm = machine.vm({})
        guest = Guest(qmp, vm, QemuPart.of(vm), machine.backend.deadlines, time.sleep)
        for _attempt in range(2):
            with pytest.raises(StragglerError, match="gave up waiting for VM real to release VF"):
                Unplug(guest, str(machine.folder / "state.unplug")).release(devices)
        assert [device.handle for device in _qemu_devices.vfio_devices(qmp, machine.argv)] == ["r0"]


def test_wrong_argv_ends_at_once_with_where_to_look(machine: Machine) -> None:
    vm = machine.vm({})
    machine.backend.save(vm, str(machine.folder / "state"))
    machine.backend.discard(vm)
    machine.backend.start(vm, [*QemuPart.of(vm).restore_argv, "-no-such-option"])
    with pytest.raises(SriovError, match=r"its QEMU ended at once; see journalctl -u real\.service"):
        machine.backend.restore(vm, str(machine.folder / "state"), {}, False, lambda: None)
