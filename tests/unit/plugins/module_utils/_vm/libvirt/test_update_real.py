# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Live updates of a domain of a real libvirtd."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import save, way_out
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import RefusedError, SriovError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt import save_format
from tests.fake.vm.update import result
from tests.libvirt import node as _node
from tests.libvirt.fixtures import NEEDS_LIBVIRT
from tests.libvirt.host import Host
from tests.libvirt.node import LibvirtNode

pytestmark = [*NEEDS_LIBVIRT]
Node = Callable[..., LibvirtNode]


@pytest.fixture
def updated(host: Host, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Node]:
    """Makes a node with one domain, which ends with the test."""
    _node.switch_on(monkeypatch)
    made: list[LibvirtNode] = []

    def one(name: str, transient: bool = False) -> LibvirtNode:
        made.append(LibvirtNode(host, tmp_path / "node", name, transient))
        return made[-1]

    (tmp_path / "node").mkdir()
    yield one
    for node in made:
        node.end()


KINDS = pytest.mark.parametrize("transient", [False, True], ids=["persistent", "transient"])


@KINDS
def test_a_domain_comes_back_after_the_jump(updated: Node, transient: bool) -> None:
    node = updated("update", transient)
    manifest = node.arm()
    assert [(vm.name, vm.backend, len(vm.vfs)) for vm in manifest.vms] == [("update", "libvirt", 1)]
    node.jump()
    node.require_shut_off()
    assert node.resume() == "done"
    node.require_well()
    assert result(node.fake)["vms"][0]["result"] == "restored"


@KINDS
def test_a_domain_comes_back_on_another_kernel(updated: Node, transient: bool) -> None:
    """After a power cut, or a panic of the new kernel."""
    node = updated("returned", transient)
    node.arm()
    node.jump()
    node.ordinary_boot()
    node.require_shut_off()
    assert way_out.come_back(node.live) == "failed"
    node.require_well()
    assert result(node.fake)["result"] == "returned"


def test_an_ordinary_start_gets_its_vfs_from_the_watch(updated: Node) -> None:
    """By somebody else, after another boot, with the memory.

    Once the unit has looked at its disks; an earlier start fails.
    """
    node = updated("watched")
    node.arm()
    node.jump()
    node.ordinary_boot()
    with pytest.raises(ToolError, match="saved by a live update"):
        node.guest.start()
    node.look()
    node.guest.start()
    assert not node.has_vf()
    node.watch()
    node.require_well()
    way_out.forget(node.live, ())
    assert not node.live.folder.read_status()


def test_a_start_that_stays_paused_is_completed_and_runs(updated: Node) -> None:
    node = updated("paused-start")
    node.arm()
    node.jump()
    node.look()
    node.guest.start("--paused")
    node.watch()
    node.require_well()


def test_a_boot_from_its_disks_is_no_start_of_its_memory(updated: Node) -> None:
    """That gives the memory up, and the definition has the VFs."""
    node = updated("forced")
    node.arm()
    node.jump()
    node.ordinary_boot()
    node.guest.start("--force-boot")
    (vm,) = node.manifest().vms
    assert not node.backend.continues(vm)
    assert node.has_vf()
    assert way_out.restore(node.live, ["forced"]) == "failed"
    assert node.claim() == "saved"
    assert node.backend.sysfs.exists(save_format.kept_path(node.guest.uuid))
    with pytest.raises(RefusedError, match="discard-memory"):
        way_out.forget(node.live, ())


def test_memory_that_is_given_up_is_kept_aside_and_out_of_libvirts_reach(updated: Node) -> None:
    node = updated("given-up")
    node.arm()
    node.jump()
    node.ordinary_boot()
    way_out.forget(node.live, ["given-up"])
    info = node.backend.connection.info(node.guest.uuid)
    assert (info.state, info.autostart, info.managed_save) == ("shut off", True, False)
    save = node.host.folder / "var/lib/libvirt/qemu/save"
    assert [path.name for path in save.iterdir() if "given-up" in path.name or node.guest.uuid in path.name] == []
    (image,) = (node.fake.host.root / "var/lib/kvmfleet-sriov/discarded").glob("given-up-*/libvirt.save")
    assert image.read_bytes().startswith(save_format.COMPLETE)
    node.guest.start()
    node.guest.ticks()
    assert node.guest.sector().boots == 2
    assert node.guest.sector().foreign == 0


def test_memory_of_an_undefined_domain_can_be_given_up(updated: Node) -> None:
    node = updated("undefined")
    node.arm()
    node.jump()
    node.host.virsh("undefine", "--domain", node.guest.uuid, "--managed-save")
    way_out.forget(node.live, ["undefined"])
    assert not node.backend.sysfs.exists(save_format.kept_path(node.guest.uuid))


def test_changed_disks_are_out_of_reach_of_virsh_start_too(updated: Node) -> None:
    node = updated("elsewhere")
    node.arm()
    node.jump()
    with node.guest.disk.open("r+b") as file:
        file.seek(4096)
        file.write(b"x")
    assert node.resume() == "failed"
    assert "its memory is not loaded" in str(result(node.fake)["vms"][0]["error"])
    assert node.backend.sysfs.exists(save_format.kept_path(node.guest.uuid))
    node.look()
    with pytest.raises(ToolError, match="saved by a live update"):
        node.guest.start()
    way_out.forget(node.live, ["elsewhere"])
    node.guest.start()
    node.guest.ticks()
    assert (node.guest.sector().boots, node.guest.sector().foreign) == (2, 0)


def test_a_transient_domain_is_not_loaded_upon_changed_disks(updated: Node) -> None:
    node = updated("changed", transient=True)
    node.arm()
    node.jump()
    with node.guest.disk.open("r+b") as file:
        file.seek(4096)
        file.write(b"x")
    assert node.resume() == "failed"
    assert "its memory is not loaded" in str(result(node.fake)["vms"][0]["error"])
    node.require_shut_off()
    assert node.backend.sysfs.exists(save_format.kept_path(node.guest.uuid))
    way_out.forget(node.live, ["changed"])
    assert not node.backend.sysfs.exists(save_format.kept_path(node.guest.uuid))


def test_a_transient_domain_that_others_have_restored_gets_its_vf(updated: Node) -> None:
    node = updated("by-others", transient=True)
    node.arm()
    node.jump()
    node.ordinary_boot()
    node.host.virsh("restore", save_format.kept_path(node.guest.uuid))
    assert not node.has_vf()
    node.watch()
    node.require_well()


COMMANDS = ("start", "attach-device", "resume")
"""Of virsh, in a restore by the live update."""
STEPS = [*((command, False) for command in COMMANDS), *((one, True) for one in ("restore", "attach-device", "resume"))]


class CutError(BaseException):
    """The end of the live update's own process, with the host."""


@pytest.mark.parametrize(("command", "transient"), STEPS)
def test_power_is_cut_before_each_step_of_a_restore(updated: Node, command: str, transient: bool) -> None:
    """Memory is loaded again until the guest may have run."""
    node = updated(f"cut-{command}", transient)
    node.arm()
    node.jump()

    def cut() -> None:
        node.host.cut()
        raise CutError

    node.edge.before[command] = cut
    with pytest.raises(CutError):
        node.resume()
    node.ordinary_boot()
    node.require_shut_off()
    assert not node.backend.connection.info(node.guest.uuid).autostart
    way_out.come_back(node.live)
    if command == "resume":
        assert node.claim() == "running"
        assert "its memory is gone" in str(result(node.fake)["vms"][0]["error"])
        assert node.backend.sysfs.exists(save_format.kept_path(node.guest.uuid))
    else:
        node.require_well()


@KINDS
def test_libvirtd_is_killed_before_each_command(updated: Node, transient: bool) -> None:
    node = updated("killed", transient)
    node.arm()
    for command in ("detach-device-alias", "qemu-monitor-command", "save" if transient else "managedsave",
                    "save-image-dumpxml"):  # fmt: skip
        node.edge.before[command] = node.host.restart
    node.jump()
    back = ("restore", "attach-device", "resume") if transient else (*COMMANDS, "autostart")
    for command in back:
        node.edge.before[command] = node.host.restart
    assert node.resume() == "done"
    node.require_well()
    assert node.edge.before == {}


@pytest.mark.parametrize("command", ["list", *COMMANDS])
def test_somebody_else_starts_the_domain_before_each_step(updated: Node, command: str) -> None:
    """Or resumes it; its memory runs once, and gets its VF.

    After a look at its disks by the unit that watches; before it they only fail.
    """
    node = updated(f"other-{command}")
    node.arm()
    node.jump()
    node.look()
    uuid = node.guest.uuid
    node.edge.before[command] = lambda: node.host.run(["sh", "-c", f"virsh start {uuid} || virsh resume {uuid}"])
    node.resume()
    node.watch()
    node.require_well()


@pytest.mark.parametrize("command", ["detach-device-alias", "managedsave", "save"])
def test_an_abort_after_a_failure_lets_the_domain_run(updated: Node, command: str) -> None:
    node = updated(f"abort-{command}", transient=command == "save")
    node.arm()

    def fail() -> None:
        raise SriovError("by the test")

    node.edge.before[command] = fail
    assert save.run(node.live) == "aborted"
    node.require_runs()


@KINDS
def test_an_abort_after_the_save_restores(updated: Node, transient: bool) -> None:
    node = updated("abort-saved", transient)
    node.arm()
    node.fake.reboot_errno = 16
    assert save.run(node.live) == "aborted"
    node.require_runs()
