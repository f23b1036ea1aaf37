# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A damaged status, result or reservation stops no way out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import resume, save, way_out
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, RefusedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import durable, update_guard
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.migration import NOTE
from tests.fake.linux.pf import FakePf
from tests.fake.vm.damaged import commands, damage, kept_aside
from tests.fake.vm.node import OLD, FakeNode, Rebooted
from tests.fake.vm.update import Killed, arm, claim, jump, killed, live, phase, result

NOT_JSON = (b"", b'{"phase": "kex', b"\xff\xfe", b"[]", b"[" * 100_000)
STATUSES = (
    *NOT_JSON, b"{}", b'{"phase": 5}',
    b'{"manifest": "m", "phase": "gone", "boot_id": "b", "time": 1, "message": ""}',
    b'{"manifest": "m", "phase": "kexec", "boot_id": [], "time": 1, "message": ""}',
)  # fmt: skip
RESULTS = (*NOT_JSON, b"{}", b'{"phases": 5, "vms": []}', b'{"phases": [], "vms": [{"name": "web1"}]}')
FOLDER = None
"""A folder in place of the file."""


@pytest.fixture
def command(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    return commands(node, monkeypatch)


@pytest.mark.parametrize("text", [*STATUSES, FOLDER])
def test_restore_on_the_kernel_that_saved(
    node: FakeNode, pf: FakePf, command: Callable[..., int], text: bytes | None
) -> None:
    """The run and its recovery were killed."""
    guest = (live(node).guest or {})["boot"]
    arm(node)
    with killed(node, "discard"), pytest.raises(Killed):
        save.run(node.live)
    damage(node, "status.json", text)
    with pytest.raises(RefusedError, match=r"stopped in phase unknown: .sriovctl live-update restore. brings"):
        command("forget")
    assert command("restore") == 0
    assert (live(node).status, (live(node).guest or {})["boot"]) == ("running", guest)
    assert kept_aside(node, "status.json")
    assert phase(node) == "aborted"
    assert command("forget") == 0


@pytest.mark.parametrize("text", [b"", b"{}", FOLDER])
@pytest.mark.parametrize("name", ["status.json", "result.json", "reservation.json"])
@pytest.mark.parametrize("step", ["resume", "come-back", "restore"])
def test_the_resume_goes_on(
    node: FakeNode, pf: FakePf, command: Callable[..., int], step: str, name: str, text: bytes | None
) -> None:
    guest = (live(node).guest or {})["boot"]
    jump(node)
    damage(node, name, text)
    assert command(step) == 0
    assert (live(node).guest or {})["boot"] == guest
    assert claim(node).state == "acknowledged"
    assert kept_aside(node, name)
    assert (phase(node), result(node)["result"]) == ("done", "updated")
    assert command("forget") == 0


@pytest.mark.parametrize("text", RESULTS)
def test_any_damaged_result(node: FakeNode, pf: FakePf, command: Callable[..., int], text: bytes) -> None:
    jump(node)
    damage(node, "result.json", text)
    assert command("resume") == 0
    assert result(node)["vms"][0]["result"] == "restored"


def test_the_run_that_was_killed_is_undone(node: FakeNode, pf: FakePf, command: Callable[..., int]) -> None:
    arm(node)
    with killed(node, "save"), pytest.raises(Killed):
        save.run(node.live)
    damage(node, "status.json", b"")
    assert command("recover") == 0
    assert live(node).status == "running"
    assert len(live(node).devices) == 1


def test_a_host_on_its_way_into_the_new_kernel_is_left_alone(
    node: FakeNode, pf: FakePf, command: Callable[..., int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An orderly kexec: the run has ended, systemd stops units."""
    arm(node)
    monkeypatch.setattr(save, "jump", lambda *_arguments, **_names: None)
    assert save.run(node.live) == "kexec"
    damage(node, "status.json", b"")
    node.systemd.going_down = True
    assert command("recover") == 0
    assert node.live_vm("web1") is None


def test_an_ended_update_is_not_begun_again_on_another_kernel(
    node: FakeNode, pf: FakePf, command: Callable[..., int]
) -> None:
    """Its VM ran already, and is not started by itself."""
    arm(node, vms={"web1": {"name": "web1", "cold_start": True}})
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert resume.resume(node.live) == "done"
    node.kexec("BOOT_IMAGE=/vmlinuz root=/dev/vda ro")
    node.put("/proc/sys/kernel/osrelease", OLD + "\n")
    damage(node, "status.json", b"")
    assert command("come-back") == 0
    assert node.live_vm("web1") is None


def test_saved_vms_come_back_on_another_kernel(node: FakeNode, pf: FakePf, command: Callable[..., int]) -> None:
    guest = (live(node).guest or {})["boot"]
    jump(node)
    node.kexec("BOOT_IMAGE=/vmlinuz root=/dev/vda ro")
    node.put("/proc/sys/kernel/osrelease", OLD + "\n")
    damage(node, "status.json", b"{}")
    assert command("come-back") == 1
    assert (live(node).guest or {})["boot"] == guest


@pytest.mark.parametrize("text", [b"", FOLDER])
def test_status_names_what_was_kept_aside(
    node: FakeNode, pf: FakePf, command: Callable[..., int], text: bytes | None, capsys: pytest.CaptureFixture[str]
) -> None:
    jump(node)
    damage(node, "status.json", text)
    assert command("status") == 0
    shown = capsys.readouterr().out
    assert "unknown  its status was damaged or missing" in shown
    assert "saved and not running: web1" in shown
    assert kept_aside(node, "status.json")


def test_other_runs_change_no_vfs_meanwhile(node: FakeNode, pf: FakePf, command: Callable[..., int]) -> None:
    arm(node)
    for text in (b"", b"{}"):
        damage(node, "status.json", text)
        with pytest.raises(BadInputError, match=r"status\.json"):
            update_guard.refuse_during_update(node.host.sysfs)
    command("status")
    with pytest.raises(RefusedError, match="phase unknown"):
        update_guard.refuse_during_update(node.host.sysfs)


def test_a_manifest_that_is_damaged_too(node: FakeNode, pf: FakePf, command: Callable[..., int]) -> None:
    """Its copies too: no VM comes back; its memory can be kept."""
    jump(node)
    damage(node, "status.json", b"")
    damage(node, "manifest.json", b"{")
    damage(node, "vms/web1/manifest.json", b"{")
    with pytest.raises(BadInputError, match=r"manifest\.json is not JSON"):
        command("restore")
    with pytest.raises(RefusedError, match="saved states of web1 would be lost"):
        command("forget")
    assert command("forget", discard_memory=["web1"]) == 0
    (aside,) = (node.host.root / "var/lib/kvmfleet-sriov/discarded").iterdir()
    assert (aside / "state").stat().st_size > 0


@pytest.mark.parametrize("kind", ["folder", "unreadable"])
def test_a_claim_that_is_no_file(node: FakeNode, pf: FakePf, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own process is there, and goes on."""
    node.vm("web2", pf, 2)
    arm(node)

    def fails(*_arguments: object) -> None:
        path = Path(_claim.path(node.live.folder.vm("web1")))
        path.unlink()
        if kind == "folder":
            path.mkdir()
        else:
            path.symlink_to(path)
        raise RefusedError("no")

    monkeypatch.setattr(type(node.qemu), "discard", fails)
    assert save.run(node.live) == "aborted"
    assert [live(node, name).status for name in ("web1", "web2")] == ["running", "running"]
    assert os.path.lexists(f"{_claim.path(node.live.folder.vm('web1'))}.damaged")


@pytest.mark.parametrize("text", [b"", b"[]", b'{"asked": 5}', b'{"asked": [{}]}'])
def test_a_damaged_note_of_unplugging_keeps_no_guest_stopped(node: FakeNode, pf: FakePf, text: bytes) -> None:
    arm(node)

    def fails(*_arguments: object) -> None:
        Path(f"{node.live.folder.state('web1')}.unplug").write_bytes(text)
        raise RefusedError("no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(node.qemu), "discard", fails)
        assert save.run(node.live) == "aborted"
    assert (live(node).status, len(live(node).devices)) == ("running", 1)


@pytest.mark.parametrize("text", [b"", b"{}", b'{"on": 5, "parameters": {}}'])
def test_a_damaged_note_of_settings_is_named_once(node: FakeNode, pf: FakePf, text: bytes) -> None:
    """The guest runs all the same."""
    arm(node)

    def fails(*_arguments: object) -> None:
        Path(f"{node.live.folder.state('web1')}{NOTE}").write_bytes(text)
        raise RefusedError("no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(node.qemu), "discard", fails)
        save.run(node.live)
    assert "how its migration settings were is not known" in str(result(node)["vms"][0]["error"])
    assert (live(node).status, len(live(node).devices)) == ("running", 1)
    assert way_out.restore(node.live, []) == "aborted"


def test_what_is_kept_aside_replaces_what_was_there(tmp_path: Path) -> None:
    file = tmp_path / "a"
    for make in (lambda: file.write_text("1"), file.mkdir, lambda: file.write_text("2"), lambda: file.write_text("3")):
        make()
        assert durable.set_aside(str(file)) == f"{file}.damaged"
        assert not file.exists()
    assert (tmp_path / "a.damaged").read_text() == "3"
    shutil.rmtree(tmp_path)
