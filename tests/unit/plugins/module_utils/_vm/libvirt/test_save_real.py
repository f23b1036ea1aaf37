# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Saves by a real libvirtd, and their ways out."""

from __future__ import annotations

import json
import os
import threading
import time

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.manifest import NAME
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import (
    DeadlineError,
    RefusedError,
    SriovError,
    ToolError,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import images
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import Deadlines, StragglerError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.ending import EndedError, StandsError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt import discovery, save_format, save_image
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.backend import LibvirtBackend
from tests.faults import guest as _guest
from tests.libvirt import played_vf
from tests.libvirt.armed import Armed, Make
from tests.libvirt.domain import Guest
from tests.libvirt.fixtures import NEEDS_LIBVIRT
from tests.libvirt.host import Host

pytestmark = [*NEEDS_LIBVIRT]


@pytest.mark.parametrize("name", ["-r 'x\" ä;$(d)", "7", "x" * 200])
def test_names_with_odd_characters(make: Make, name: str) -> None:
    armed = make(name)
    assert NAME.fullmatch(armed.vm.name)
    assert armed.vm.name == (name if discovery.SAFE.fullmatch(name) else armed.guest.uuid)
    armed.save()
    armed.restore()
    armed.require_well()


def test_a_migration_that_reaches_no_host_leaves_the_domain(make: Make, host: Host) -> None:
    """libvirt takes the words, and fails at the other host."""
    armed = make("stays")
    words = armed.backend.moving(armed.facts, "nowhere.invalid")
    with pytest.raises(ToolError) as found:
        host.run(words)
    assert "qemu+ssh://nowhere.invalid/system" in str(found.value) or "ssh" in found.value.stderr
    assert "option" not in found.value.stderr
    assert armed.guest.state() == "running"
    again = armed.backend.starts_again(armed.vm)
    assert again is not None
    assert again.startswith("domain stays is still defined here with autostart")


def test_an_abort_after_the_save_restores(make: Make) -> None:
    armed = make("undone")
    armed.save()
    armed.backend.undo(armed.vm, armed.state, lambda: armed.ran.append("before"))
    assert armed.ran == ["before"]
    armed.require_well()
    assert armed.backend.settle(armed.vm, armed.state) is None


@pytest.mark.parametrize("rest", ["nothing", "a part"])
def test_an_abort_after_a_save_without_its_state_restores(make: Make, rest: str) -> None:
    """It was interrupted between libvirt's image and ours."""
    armed = make("stateless")
    armed.save()
    if rest == "nothing":
        os.unlink(armed.state)
        save_image.show(armed.backend.sysfs, armed.guest.uuid, armed.guest.name)
        save_image.forget(armed.backend.sysfs, armed.guest.uuid)
    else:
        os.truncate(armed.state, 4200)
    armed.backend.undo(armed.vm, armed.state)
    armed.require_well()


def test_an_abort_before_the_save_attaches(make: Make) -> None:
    armed = make("released")
    armed.backend.release(armed.vm, armed.state)
    armed.backend.undo(armed.vm, armed.state, stopped=False)
    armed.require_well()


def test_a_guest_that_does_not_release_its_vf_runs_on(make: Make) -> None:
    armed = make("deaf", delay=_guest.DEAF, deadlines=Deadlines(unplug_s=1.0))
    with pytest.raises(StragglerError, match=r"has not released VF 0000:04:10\.2 within 1 s"):
        armed.backend.release(armed.vm, armed.state)
    armed.backend.undo(armed.vm, armed.state, stopped=False)
    armed.require_well()
    left = armed.backend.settle(armed.vm, armed.state)
    assert left is not None
    assert "may do so at any time" in left


def test_a_guest_that_releases_its_vf_late_has_it_again(make: Make) -> None:
    armed = make("late", delay=40, deadlines=Deadlines(unplug_s=0.5))
    with pytest.raises(StragglerError):
        armed.backend.release(armed.vm, armed.state)
    armed.backend.undo(armed.vm, armed.state, stopped=False)
    patient = LibvirtBackend(armed.backend.sysfs, armed.edge, Deadlines(unplug_s=15.0))
    assert patient.settle(armed.vm, armed.state) is None
    armed.require_well()


def test_what_its_user_paused_stands(make: Make) -> None:
    armed = make("paused")
    armed.guest.host.virsh("suspend", armed.guest.uuid)
    for act in (armed.backend.release, armed.backend.save):
        with pytest.raises(StandsError, match="paused, and not by this update"):
            act(armed.vm, armed.state)
    with pytest.raises(StandsError):
        armed.backend.undo(armed.vm, armed.state, stopped=False)
    assert armed.guest.state() == "paused"


def test_what_its_user_shut_down_has_ended(make: Make) -> None:
    armed = make("ended")
    armed.backend.power_down(armed.vm)
    with pytest.raises(EndedError, match=r"libvirt says: shut off \(shutdown\)"):
        armed.backend.save(armed.vm, armed.state)
    assert not armed.backend.ending(armed.vm).crashed
    armed.backend.cold_start(armed.vm)
    armed.require_well(boots=2)


def test_a_crash_is_no_shutdown(make: Make, host: Host) -> None:
    armed = make("crashed")
    host.run(["sh", "-c", "kill -9 $(cat /run/libvirt/qemu/crashed.pid)"])
    host.wait(lambda: armed.guest.state() == "shut off", "end of the domain")
    assert armed.backend.ending(armed.vm).crashed


def test_a_save_whose_virsh_is_killed_is_finished(make: Make, host: Host) -> None:
    armed = make("client")
    armed.backend.release(armed.vm, armed.state)
    pid, uuid = "$(cat /run/libvirt/qemu/client.pid)", armed.guest.uuid
    host.run(["sh", "-c", f"kill -STOP {pid}"])
    words = f"virsh managedsave --domain {uuid} >/dev/null 2>&1 & echo $! >/tmp/virsh.pid"
    host.run(["sh", "-c", words])
    host.wait(lambda: "ok" not in host.virsh("domcontrol", "--domain", uuid), "save under way")
    host.run(["sh", "-c", "kill -KILL $(cat /tmp/virsh.pid)"])
    host.run(["sh", "-c", f"(sleep 0.5; kill -CONT {pid}) >/dev/null 2>&1 &"])
    armed.backend.save(armed.vm, armed.state)
    armed.restore()
    armed.require_well()


@pytest.mark.parametrize("delay", [0.05, 0.2])
def test_libvirtd_is_killed_amid_a_save(make: Make, host: Host, delay: float) -> None:
    armed = make(f"amid-{delay}")
    armed.backend.release(armed.vm, armed.state)

    def kill() -> None:
        time.sleep(delay)
        host.restart()

    killer = threading.Thread(target=kill)
    armed.edge.before["managedsave"] = killer.start
    try:
        armed.backend.save(armed.vm, armed.state)
    except SriovError:
        killer.join()
        armed.backend.save(armed.vm, armed.state)
    killer.join()
    armed.restore()
    armed.require_well()


def test_an_overlay_made_while_it_runs_is_kept(make: Make, host: Host) -> None:
    armed = make("overlay")
    host.virsh("snapshot-create-as", armed.guest.uuid, "s1", "--disk-only", "--no-metadata")
    saved = armed.save()
    base = f"/images/{armed.guest.disk.name}"
    assert sorted(image.name for image in saved.images) == sorted([base, base.replace(".img", ".s1")])
    armed.restore()
    assert armed.guest.state() == "running"


def test_a_transient_domain_is_saved_to_a_file_and_restored(make: Make, host: Host) -> None:
    armed = make("transient", transient=True)
    assert list(armed.backend.problems(armed.facts)) == []
    kept = save_format.kept_path(armed.guest.uuid)
    saved = armed.save()
    assert armed.guest.uuid not in host.virsh("list", "--all", "--uuid")
    assert [image.name for image in saved.images] == [f"/images/{armed.guest.disk.name}"]
    assert host.sysfs.exists(kept)
    armed.backend.discard(armed.vm)
    armed.restore()
    assert armed.ran == ["paused"]
    armed.require_well()


def test_the_end_of_a_transient_domain_is_in_its_log(make: Make, host: Host) -> None:
    """libvirt itself knows nothing of it any more."""
    armed = make("forgotten", transient=True)
    armed.backend.power_down(armed.vm)
    with pytest.raises(EndedError, match=r"libvirt says: shut off \(shutdown\)"):
        armed.backend.save(armed.vm, armed.state)
    armed.backend.cold_start(armed.vm)
    armed.require_well(boots=2)
    host.run(["sh", "-c", "kill -9 $(cat /run/libvirt/qemu/forgotten.pid)"])
    host.wait(lambda: armed.guest.uuid not in host.virsh("list", "--all", "--uuid"), "end of the domain")
    assert armed.backend.ending(armed.vm).crashed


@pytest.mark.parametrize("late", ["save", "restore"])
def test_a_virsh_that_is_late_with_a_transient_domain_is_no_failure(make: Make, late: str) -> None:
    armed = make(f"large-{late}", transient=True)
    armed.edge.after[late] = _late
    armed.save()
    armed.restore()
    armed.require_well()
    assert armed.edge.after == {}


def test_a_failed_save_of_a_transient_domain_lets_it_run(make: Make, host: Host) -> None:
    armed = make("full-transient", transient=True)
    armed.backend.release(armed.vm, armed.state)
    host.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", save_format.FOLDER])
    try:
        with pytest.raises(SriovError):
            armed.backend.save(armed.vm, armed.state)
    finally:
        host.run(["umount", save_format.FOLDER])
    armed.backend.undo(armed.vm, armed.state)
    armed.require_well()
    armed.save()
    armed.restore()
    armed.require_well()


@pytest.mark.parametrize("rest", ["all", "nothing", "a part"])
def test_an_abort_after_a_save_of_a_transient_domain_restores(make: Make, rest: str) -> None:
    armed = make("undone-transient", transient=True)
    armed.save()
    if rest == "nothing":
        os.unlink(armed.state)
        kept = armed.backend.sysfs.real(save_format.kept_path(armed.guest.uuid))
        os.rename(kept, armed.backend.sysfs.real(save_format.unkept_path(armed.guest.uuid)))
    elif rest == "a part":
        os.truncate(armed.state, 4200)
    armed.backend.undo(armed.vm, armed.state)
    armed.require_well()


def test_a_vf_that_a_network_gave_comes_back_by_its_address(make: Make) -> None:
    armed = make("network", alias=played_vf.NETWORK)
    assert [vf.address for vf in armed.facts.vfs] == [played_vf.address(1)]
    assert list(armed.backend.problems(armed.facts)) == []
    armed.save()
    armed.restore()
    armed.require_well()


def test_a_vf_that_a_network_gave_comes_back_after_an_abort(make: Make) -> None:
    armed = make("aborted-network", alias=played_vf.NETWORK)
    armed.backend.release(armed.vm, armed.state)
    armed.backend.undo(armed.vm, armed.state, stopped=False)
    armed.require_well()


def test_what_qemu_does_not_save_is_said_in_its_words(host: Host) -> None:
    one = Guest.made(host, "blocked")
    one.create("<shmem name='m' role='peer'><model type='ivshmem-plain'/><size unit='M'>4</size></shmem>")
    armed = Armed.of(one)
    words = "Migration is disabled when using feature 'peer mode' in device 'ivshmem'"
    assert armed.facts.detail.blocked == (words,)  # type: ignore[attr-defined]  # LibvirtFacts
    assert f"QEMU does not save it: {words}" in [problem for problem, _fix in armed.backend.problems(armed.facts)]
    with pytest.raises(SriovError, match=words):
        armed.backend.save(armed.vm, armed.state)
    assert one.state() == "running"
    armed.end()


def test_what_has_a_new_device_is_not_saved(make: Make, host: Host) -> None:
    armed = make("more")
    (host.folder / "tmp/more.xml").write_text(played_vf.nic(2), encoding="utf-8")
    host.virsh("attach-device", armed.guest.uuid, "/tmp/more.xml", "--live")
    with pytest.raises(SriovError, match=r"has device 0000:04:10\.4 since it was armed"):
        armed.backend.release(armed.vm, armed.state)
    assert armed.backend.connection.live(armed.guest.uuid).addresses == {played_vf.address(1), played_vf.address(2)}


def test_another_process_than_the_armed_one_is_not_saved(make: Make) -> None:
    armed = make("again")
    armed.guest.host.virsh("destroy", armed.guest.uuid)
    armed.guest.start()
    for act in (armed.backend.release, armed.backend.save):
        with pytest.raises(RefusedError, match=r"process \d+, and was process \d+ when the update was armed"):
            act(armed.vm, armed.state)
    assert armed.guest.state() == "running"


def test_an_abort_of_what_has_ended_gives_autostart_back(make: Make) -> None:
    armed = make("gone")
    armed.save()
    armed.guest.host.virsh("managedsave-remove", armed.guest.uuid)
    save_image.forget(armed.backend.sysfs, armed.guest.uuid)
    with pytest.raises(EndedError):
        armed.backend.undo(armed.vm, armed.state)
    assert armed.backend.connection.info(armed.guest.uuid).autostart


def _late() -> None:
    raise DeadlineError("'virsh' did not end within 60 s")


def test_a_virsh_that_is_late_is_no_failure(make: Make) -> None:
    """A large domain takes longer than a program may; libvirt goes on."""
    armed = make("large")
    armed.edge.after = {"managedsave": _late, "start": _late}
    armed.save()
    armed.restore()
    armed.require_well()
    assert armed.edge.after == {}


def test_a_start_that_is_late_and_fails_is_one(make: Make) -> None:
    armed = make("late-start")
    armed.save()
    armed.edge.before["start"] = _late
    with pytest.raises(DeadlineError):
        armed.restore()
    assert armed.backend.withdraw(armed.vm)
    armed.restore()
    armed.require_well()


def test_a_save_without_space_lets_the_domain_run_and_the_next_one_save(make: Make, host: Host) -> None:
    """What the failed one has set in QEMU is off then."""
    armed = make("full")
    armed.backend.release(armed.vm, armed.state)
    host.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", save_format.FOLDER])
    try:
        with pytest.raises(SriovError):
            armed.backend.save(armed.vm, armed.state)
    finally:
        host.run(["umount", save_format.FOLDER])
    armed.backend.undo(armed.vm, armed.state)
    armed.require_well()
    armed.save()
    armed.restore()
    armed.require_well()


def test_capabilities_that_others_left_on_are_not_inherited(make: Make, host: Host) -> None:
    armed = make("able")
    on = [{"capability": name, "state": True} for name in ("mapped-ram", "multifd", "x-ignore-shared")]
    command = json.dumps({"execute": "migrate-set-capabilities", "arguments": {"capabilities": on}})
    host.virsh("qemu-monitor-command", "--domain", armed.guest.uuid, command)
    armed.save()
    armed.restore()
    armed.require_well()


@pytest.mark.parametrize("bitmap", [False, True])
def test_a_qcow2_is_as_its_save_left_it_until_the_guest_runs(host: Host, bitmap: bool) -> None:
    """QEMU may write to one when it activates it."""
    one = Guest.made(host, f"qcow2-{bitmap}").as_qcow2()
    if bitmap:
        host.run(["qemu-img", "bitmap", "--add", f"/images/{one.disk.name}", "backup"])
    one.define(played_vf.nic(1))
    one.start()
    armed = Armed.of(one)
    try:
        saved = armed.save()
        compared: list[str | None] = []
        armed.backend.ready(armed.vm)
        armed.backend.restore(
            armed.vm, armed.state, {}, True,
            lambda: compared.extend(images.difference(armed.backend.sysfs, image) for image in saved.images),
        )  # fmt: skip
        assert compared == [None]
        assert one.state() == "running"
    finally:
        armed.end()
