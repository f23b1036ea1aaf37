# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Saving and the jump.

Whatever fails before the jump, every VM runs here again.
"""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import (
    abort,
    claim,
    forgetting,
    manifest_file,
    resume,
    save,
    way_out,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVm
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import Killed, arm, live, result


@pytest.mark.parametrize(
    ("script", "part"),
    [
        ({"unplug": "never"}, "gave up waiting for VM web1 to release VF"),
        ({"unplug": "refused"}, "the guest refused to unplug VF"),
        ({"migrate": "refused"}, "Could not create"),
        ({"migrate": "fails", "lacks": ("mapped-ram",)}, "migration failed: No space left on device"),
        ({"copy": "fails"}, "copying its memory failed: No space left on device"),
        ({"migrate": "stays"}, "expected postmigrate"),
        ({"quit": "ignored"}, "gave up waiting for QEMU to close its monitor"),
    ],
)
def test_failed_save_leaves_every_vm_running_here(
    node: FakeNode, pf: FakePf, script: dict[str, str], part: str
) -> None:
    node.vm("other", pf, 2)
    before = {name: node.live_vm(name) for name in ("web1", "other")}
    boots = {name: (qemu.guest or {})["boot"] for name, qemu in before.items() if qemu}
    arm(node)
    for key, value in script.items():
        setattr(node.scripts["web1"], key, value)
    assert save.run(node.live) == "aborted"
    for name in ("web1", "other"):
        qemu = node.live_vm(name)
        assert qemu is not None
        assert qemu.status == "running"
        assert len(qemu.devices) == 1
        assert (qemu.guest or {})["boot"] == boots[name]
        left = claim.load(node.live.folder.vm(name))
        assert left is None or left.state == "acknowledged"
    assert part in result(node)["error"]
    assert result(node)["result"] == "aborted"
    assert not node.live.kexec.loaded()


def test_refused_kexec_brings_vms_back_from_their_states(node: FakeNode, pf: FakePf) -> None:
    before = node.live_vm("web1")
    assert before is not None
    guest = dict(before.guest or {})
    arm(node)
    node.reboot_errno = 16
    assert save.run(node.live) == "aborted"
    after = node.live_vm("web1")
    assert after is not None
    assert after is not before
    assert after.guest == {"boot": guest["boot"], "n": guest["n"] + 1}
    assert " rw" in (node.host.root / "proc/mounts").read_text()
    assert "EBUSY" in result(node)["error"]


def kill_at(node: FakeNode, program: str) -> None:
    def check(argv: list[str]) -> None:
        if argv[0] == program:
            node.on_run = lambda _argv: None
            raise Killed

    node.on_run = check


def test_run_killed_before_the_jump_is_recovered(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    kill_at(node, "journalctl")
    with pytest.raises(Killed):
        save.run(node.live)
    assert node.live_vm("web1") is None
    assert abort.recover(node.live) == "aborted"
    assert node.live_vm("web1") is not None
    assert abort.recover(node.live) is None


def test_an_abort_waits_for_the_end_of_a_migration(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> None:
    """QEMU refuses to continue a guest whose migration is not final."""
    arm(node)

    def fails(*_arguments: object) -> None:
        node.scripts["web1"].finishing = 4
        live(node).status = "finish-migrate"
        raise RefusedError("it is not ended")

    monkeypatch.setattr(type(node.qemu), "discard", fails)
    assert save.run(node.live) == "aborted"
    assert live(node).status == "running"


@pytest.mark.parametrize("crash", [False, True])
def test_a_state_is_history_once_its_vm_goes_on_here(
    node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch, crash: bool
) -> None:
    """Its disks are newer then, though a crash may lose times."""
    arm(node)
    node.scripts["web1"].quit = "ignored"

    def killed(*_arguments: object) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(forgetting, "drop_claim", killed)
        with pytest.raises(Killed):
            save.run(node.live)
    left = claim.load(node.live.folder.vm("web1"))
    assert left is not None
    assert (live(node).status, left.state) == ("running", "running")
    if crash:
        node.kexec("BOOT_IMAGE=/vmlinuz root=/dev/vda ro quiet")
        assert way_out.come_back(node.live) == "failed"
        assert "its memory is gone" in result(node)["vms"][0]["error"]
    else:
        assert abort.recover(node.live) == "aborted"
        assert claim.load(node.live.folder.vm("web1")) is None


def test_recover_keeps_still_while_the_host_goes_down(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    kill_at(node, "journalctl")
    with pytest.raises(Killed):
        save.run(node.live)
    node.systemd.going_down = True
    assert abort.recover(node.live) is None
    assert node.live_vm("web1") is None


def test_vm_that_changed_since_arming_is_not_touched(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    qemu = node.live_vm("web1")
    assert qemu is not None
    qemu.do_device_del("vf0")
    assert save.run(node.live) == "aborted"
    assert "armed were" in result(node)["error"]


@pytest.mark.parametrize("step", ["release", "copy", "save", "discard"])
def test_a_vm_that_is_started_again_meanwhile_is_not_touched(
    node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """It has no VF, by which it could be known."""
    old = node.vm("plain")
    arm(node)
    real = getattr(type(node.qemu), step)

    def late(backend: object, vm: ManifestVm, *arguments: object) -> object:
        if vm.name == "plain" and old.alive:
            old.end()
            node.vm("plain")
        return real(backend, vm, *arguments)

    monkeypatch.setattr(type(node.qemu), step, late)
    assert save.run(node.live) == ("failed" if step == "discard" else "aborted")
    new = live(node, "plain")
    assert f"process {new.pid} answers at /run/kvmfleet-vm/plain.qmp, VM plain was process {old.pid}" in str(
        result(node)["error"]
    )
    assert new.status == "running"
    assert not {"stop", "migrate", "quit"} & set(new.commands)
    assert live(node).status == "running"


def test_run_twice_is_refused(node: FakeNode, pf: FakePf) -> None:
    arm(node)
    node.scripts["web1"].unplug = "refused"
    save.run(node.live)
    with pytest.raises(RefusedError, match="in phase aborted, not armed"):
        save.run(node.live)


def test_what_was_armed_before_a_boot_is_not_run(node: FakeNode, pf: FakePf) -> None:
    """A manifest that is older than this boot.

    Another kernel may be loaded since, but VMs and VFs are others than in the manifest.
    """
    arm(node)
    calls = len(node.calls)
    node.put("/proc/sys/kernel/random/boot_id", "another\n")
    with pytest.raises(BadInputError, match="was armed under another kernel boot"):
        save.run(node.live)
    assert len(node.calls) == calls
    assert len(live(node).devices) == 1


def test_properties_that_changed_since_arming_are_kept(node: FakeNode, pf: FakePf) -> None:
    """An administrator moved the VM into another VLAN."""
    arm(node)
    pf.properties[6].update(vlan=200, qos=3)
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert resume.resume(node.live) == "done"
    assert {key: node.properties(pf.vfs[6].address)[key] for key in ("vlan", "qos")} == {"vlan": 200, "qos": 3}
    assert "properties of VFs have changed, and stay as they are now: VM web1" in " ".join(node.log)


def test_properties_that_did_not_change_write_nothing(node: FakeNode, pf: FakePf) -> None:
    manifest = arm(node)
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert manifest_file.load(node.live.folder.path) == manifest
    assert not [line for line in node.log if "properties of VFs have changed" in line]
