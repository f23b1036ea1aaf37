# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores by a real libvirtd, and what others do meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt import save_image
from tests.libvirt.armed import Armed, Make
from tests.libvirt.fixtures import NEEDS_LIBVIRT
from tests.libvirt.host import Host

pytestmark = [*NEEDS_LIBVIRT]


def test_a_domain_is_saved_and_restored(make: Make) -> None:
    armed = make("web1")
    assert (armed.facts.name, [vf.id for vf in armed.facts.vfs], armed.facts.unknown_devices) == ("web1", [1], ())
    assert list(armed.backend.problems(armed.facts)) == []
    assert armed.backend.pid("web1") == armed.facts.pid
    saved = armed.save()
    uuid = armed.guest.uuid
    assert armed.backend.pid("web1") is None
    assert not armed.backend.connection.info(uuid).autostart
    assert armed.backend.sysfs.exists(save_image.kept_path(uuid))
    assert [image.name for image in saved.images] == [f"/images/{armed.guest.disk.name}"]
    armed.backend.discard(armed.vm)
    armed.restore()
    assert armed.ran == ["paused"]
    armed.require_well()
    assert "systemctl daemon-reload" in armed.edge.commands
    assert armed.backend.set_clock(armed.vm).startswith("not set: ")


def test_a_qemu_that_is_killed_before_it_ran_has_lost_nothing(make: Make, host: Host) -> None:
    """libvirt has deleted its image by then."""
    armed = make("killed")
    armed.save()

    def kill() -> None:
        assert not armed.backend.sysfs.exists(save_image.path("killed"))
        host.run(["sh", "-c", "kill -9 $(cat /run/libvirt/qemu/killed.pid)"])

    armed.edge.before["resume"] = kill
    with pytest.raises(SriovError):
        armed.restore()
    assert armed.backend.withdraw(armed.vm)
    assert armed.backend.sysfs.exists(save_image.path("killed"))
    armed.restore()
    armed.require_well()


def test_a_power_cut_after_our_start_has_lost_nothing(make: Make, host: Host) -> None:
    """Nobody has withdrawn the start, and another boot finds its note."""
    armed = make("cut")
    armed.save()
    armed.edge.before["attach-device"] = lambda: host.run(["sh", "-c", "kill -9 $(cat /run/libvirt/qemu/cut.pid)"])
    with pytest.raises(SriovError):
        armed.restore()
    host.wait(lambda: armed.guest.state() == "shut off", "end of the domain")
    note = Path(host.sysfs.real(f"/var/lib/kvmfleet-sriov/libvirt/{armed.guest.uuid}.json"))
    note.write_text('{"boot_id": "another"}')
    assert not armed.backend.is_own(armed.vm)
    armed.restore()
    armed.require_well()


def test_a_withdrawn_start_leaves_what_virsh_start_loads(make: Make) -> None:
    armed = make("withdrawn")
    armed.save()
    armed.edge.before["attach-device"] = _fail
    with pytest.raises(SriovError, match="by the test"):
        armed.restore()
    assert armed.backend.is_own(armed.vm)
    assert armed.backend.withdraw(armed.vm)
    armed.guest.start()
    assert not armed.backend.is_own(armed.vm)
    armed.restore()
    armed.require_well()


def _fail() -> None:
    raise SriovError("by the test")


def test_libvirtd_is_killed_before_each_command(make: Make, host: Host) -> None:
    armed = make("restarted")
    for command in ("detach-device-alias", "managedsave", "start", "attach-device", "resume"):
        armed.edge.before[command] = host.restart
    armed.save()
    armed.restore()
    armed.require_well()
    assert armed.edge.before == {}


@pytest.mark.parametrize("command", ["dominfo", "start", "attach-device", "resume"])
def test_somebody_else_starts_the_domain_during_its_restore(make: Make, command: str) -> None:
    armed = make(f"other-{command}")
    armed.save()
    armed.edge.commands.clear()
    armed.edge.before[command] = lambda: _start(armed)
    try:
        armed.backend.restore(armed.vm, armed.state, {}, True, lambda: None)
    except SriovError:
        armed.backend.withdraw(armed.vm)
        armed.backend.restore(armed.vm, armed.state, {}, armed.backend.pid(armed.vm.name) is None, lambda: None)
    armed.require_well()


def _start(armed: Armed) -> None:
    host, uuid = armed.guest.host, armed.guest.uuid
    host.run(["sh", "-c", f"virsh start {uuid} || virsh resume {uuid}"])


def test_a_start_by_somebody_else_after_the_save_is_completed(make: Make) -> None:
    armed = make("started")
    armed.save()
    armed.guest.start()
    armed.guest.ticks()
    assert not armed.backend.is_own(armed.vm)
    armed.restore(start=False)
    assert armed.ran == []
    armed.require_well()


def test_memory_that_somebody_else_has_used_is_history(make: Make) -> None:
    armed = make("used")
    armed.save()
    armed.guest.start()
    armed.guest.ticks()
    armed.guest.host.virsh("destroy", armed.guest.uuid)
    with pytest.raises(BadInputError, match=r"image /images/.*: it was changed"):
        armed.restore()
    assert armed.guest.state() == "shut off"
    assert not armed.backend.sysfs.exists(save_image.path("used"))
    assert armed.backend.sysfs.exists(save_image.kept_path(armed.guest.uuid))


def test_memory_is_not_loaded_upon_changed_disks(make: Make) -> None:
    """Not by `virsh start` either, after the restore was refused."""
    armed = make("changed")
    armed.save()
    with armed.guest.disk.open("r+b") as file:
        file.seek(4096)
        file.write(b"x")
    with pytest.raises(BadInputError, match="Its memory is kept as"):
        armed.restore()
    assert not armed.backend.connection.info(armed.guest.uuid).managed_save
    armed.guest.start()
    armed.guest.ticks()
    assert armed.guest.sector().boots == 2
    assert armed.guest.sector().foreign == 0


def test_what_libvirt_boots_instead_of_loading_never_runs(make: Make) -> None:
    """It deletes an image that has the mark of an interrupted save."""
    armed = make("booted")
    armed.save()
    image = Path(armed.backend.sysfs.real(save_image.path("booted")))

    def spoil() -> None:
        with image.open("r+b") as file:
            file.write(save_image.PARTIAL)

    armed.edge.before["start"] = spoil
    with pytest.raises(SriovError, match="was booted from its disks instead of being loaded"):
        armed.restore()
    assert armed.guest.state() == "shut off"
    assert armed.guest.sector().boots == 1


def test_a_lost_image_of_libvirt_is_somebody_elses_start(make: Make) -> None:
    armed = make("removed")
    armed.save()
    armed.guest.host.virsh("managedsave-remove", armed.guest.uuid)
    with pytest.raises(BadInputError, match="somebody else has started it since its save"):
        armed.restore()
    assert armed.guest.state() == "shut off"
