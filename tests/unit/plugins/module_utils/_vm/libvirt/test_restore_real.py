# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restores by a real libvirtd, and what others do meanwhile."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, SriovError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt import guard, save_format, save_image
from tests.libvirt import played_vf
from tests.libvirt.armed import Armed, Make
from tests.libvirt.domain import Guest
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
    assert armed.backend.sysfs.exists(save_format.kept_path(uuid))
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
        assert not armed.backend.sysfs.exists(save_format.path("killed"))
        host.run(["sh", "-c", "kill -9 $(cat /run/libvirt/qemu/killed.pid)"])

    armed.edge.before["resume"] = kill
    with pytest.raises(SriovError):
        armed.restore()
    assert armed.backend.withdraw(armed.vm)
    assert armed.backend.sysfs.exists(save_format.path("killed"))
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
    _offer(armed)
    armed.guest.start()
    assert not armed.backend.is_own(armed.vm)
    armed.restore()
    armed.require_well()


def _offer(armed: Armed) -> None:
    armed.backend.offer(armed.vm, armed.state)


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
    _offer(armed)
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
    _offer(armed)
    armed.guest.start()
    armed.guest.ticks()
    assert not armed.backend.is_own(armed.vm)
    armed.restore(start=False)
    assert armed.ran == []
    armed.require_well()


def test_memory_that_somebody_else_has_used_is_history(make: Make) -> None:
    armed = make("used")
    armed.save()
    _offer(armed)
    armed.guest.start()
    armed.guest.ticks()
    armed.guest.host.virsh("destroy", armed.guest.uuid)
    with pytest.raises(BadInputError, match=r"image /images/.*: it was changed"):
        armed.restore()
    assert armed.guest.state() == "shut off"
    assert not armed.backend.sysfs.exists(save_format.path("used"))
    assert armed.backend.sysfs.exists(save_format.kept_path(armed.guest.uuid))


def _change(armed: Armed) -> None:
    with armed.guest.disk.open("r+b") as file:
        file.seek(4096)
        file.write(b"x")


def _require_guarded(armed: Armed) -> None:
    """Require that libvirt neither loads nor boots the domain, and says why."""
    with pytest.raises(ToolError, match="saved by a live update: sriovctl live-update restore"):
        armed.guest.start()
    assert armed.guest.state() == "shut off"
    assert guard.is_put(armed.backend.sysfs, armed.guest.uuid, armed.guest.name)


def test_nobody_starts_a_domain_before_its_disks_were_compared(make: Make, host: Host) -> None:
    """Nor does a boot with autostart, whatever the disks are."""
    armed = make("guarded")
    armed.save()
    _require_guarded(armed)
    host.cut()
    _require_guarded(armed)
    _offer(armed)
    armed.guest.start()
    armed.restore(start=False)
    armed.require_well()


def test_disks_that_change_after_a_look_are_seen_at_the_next(make: Make) -> None:
    armed = make("changed-later")
    armed.save()
    _offer(armed)
    _offer(armed)
    assert save_image.is_shown(armed.backend.sysfs, armed.guest.uuid, "changed-later")
    _change(armed)
    with pytest.raises(BadInputError, match=r"image /images/.*: it was changed"):
        _offer(armed)
    _require_guarded(armed)


def test_memory_is_not_loaded_upon_changed_disks(make: Make) -> None:
    """Nor is the domain booted from them, until somebody wants that."""
    armed = make("changed")
    armed.save()
    _change(armed)
    with pytest.raises(BadInputError, match="Its memory is kept as"):
        armed.restore()
    _require_guarded(armed)
    armed.guest.start("--force-boot")
    armed.guest.ticks()
    assert armed.guest.sector().boots == 2
    assert armed.guest.sector().foreign == 0


def test_disks_that_are_back_are_loaded_upon(make: Make) -> None:
    """Such as of a file system that was mounted late."""
    armed = make("unmounted")
    armed.save()
    aside = armed.guest.disk.with_suffix(".aside")
    armed.guest.disk.rename(aside)
    with pytest.raises(BadInputError, match="Its memory is kept as"):
        armed.restore()
    armed.backend.withhold(armed.vm)
    _require_guarded(armed)
    aside.rename(armed.guest.disk)
    armed.restore()
    armed.require_well()


def test_a_boot_starts_no_saved_domain_and_all_others(make: Make, host: Host) -> None:
    """Those that start with every boot, or only the next."""
    armed, others = make("saved-here"), [make("always"), make("once")]
    for other in others:
        host.virsh("destroy", "--domain", other.guest.uuid)
    host.virsh("autostart", "--domain", others[1].guest.uuid, "--disable")
    host.virsh("autostart", "--domain", others[1].guest.uuid, "--once")
    armed.save()
    host.virsh("autostart", "--domain", armed.guest.uuid)
    host.cut()
    for other in others:
        other.guest.ticks()
    info = [other.backend.connection.info(other.guest.uuid) for other in others]
    assert [(one.autostart, one.autostart_once) for one in info] == [(True, False), (False, False)]
    assert armed.guest.state() == "shut off"
    assert guard.is_put(host.sysfs, armed.guest.uuid, "saved-here")
    armed.restore()
    armed.require_well()


def test_an_autostart_of_the_next_boot_alone_outlives_the_update(host: Host) -> None:
    """The boot in between does not use it up."""
    one = Guest.made(host, "next-only")
    one.define(played_vf.nic(1))
    host.virsh("autostart", "--domain", one.uuid, "--once")
    one.start()
    armed = Armed.of(one)
    try:
        armed.save()
        host.cut()
        assert one.state() == "shut off"
        armed.restore()
        info = armed.backend.connection.info(one.uuid)
        assert (info.state, info.autostart, info.autostart_once) == ("running", False, True)
    finally:
        armed.end()


def test_holds_that_are_not_given_back_are_tried_again(make: Make) -> None:
    """The domain counts as started by us until then."""
    armed = make("held")
    armed.save()
    armed.edge.before["autostart"] = _fail
    with pytest.raises(SriovError, match="by the test"):
        armed.restore()
    assert armed.backend.is_own(armed.vm)
    armed.restore(start=False)
    armed.require_well()


@pytest.mark.parametrize("command", ["attach-device", "resume"])
def test_power_is_cut_in_a_restore_and_nobody_boots_from_the_disks(make: Make, host: Host, command: str) -> None:
    """libvirt has deleted its image by then."""
    armed = make(f"cut-{command}")
    armed.save()

    def cut() -> None:
        host.cut()
        raise SriovError("cut")

    armed.edge.before[command] = cut
    with pytest.raises(SriovError):
        armed.restore()
    if command == "resume":
        assert not armed.backend.sysfs.exists(save_format.path(armed.guest.name))
        return
    _require_guarded(armed)
    _offer(armed)
    armed.guest.start()
    armed.restore(start=False)
    armed.require_well()


def test_libvirtd_is_killed_while_the_guard_is_there_and_forgets_it(make: Make, host: Host) -> None:
    """Else it takes a domain that runs for saved."""
    armed = make("flag")
    armed.save()
    armed.edge.before["attach-device"] = host.restart
    armed.restore()
    armed.require_well()


def test_what_libvirt_boots_instead_of_loading_never_runs(make: Make) -> None:
    """It deletes an image that has the mark of an interrupted save."""
    armed = make("booted")
    armed.save()
    image = Path(armed.backend.sysfs.real(save_format.path("booted")))

    def spoil() -> None:
        with image.open("r+b") as file:
            file.write(save_format.PARTIAL)

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
