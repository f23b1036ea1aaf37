# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""VMs with a manager, which starts saved ones for whoever asks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import (
    act_lock,
    elsewhere,
    manifest_file,
    resume,
    save,
    saved_disks,
    vf_users,
    watching,
    way_out,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import claim as _claim
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.properties import VfProperties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import registry
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.backend import QemuBackend
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVf, ManifestVm
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.toy import ToyBackend, ToyVm, toy
from tests.fake.vm.update import arm, claim, request, result

RUN = "systemd-run --quiet --no-block --collect --unit=kvmfleet-live-update-watch.service"


@dataclass(frozen=True)
class Managed(ToyBackend):
    """Toy VMs that others may start from their saved memory."""

    managed: ClassVar[bool] = True
    loaded: ClassVar[set[str]] = set()
    calls: ClassVar[list[tuple[str, ...]]] = []
    refusal: ClassVar[list[str]] = []

    def is_own(self, vm: ManifestVm) -> bool:
        return False

    def continues(self, vm: ManifestVm) -> bool:
        return vm.name in self.loaded

    def offer(self, vm: ManifestVm, state: str) -> None:
        self.calls.append(("offer", vm.name, Path(state).name))
        if self.refusal:
            raise SriovError(self.refusal[0])

    def withhold(self, vm: ManifestVm) -> None:
        self.calls.append(("withhold", vm.name))

    def released(self, vm: ManifestVm, vf: ManifestVf, now: VfProperties) -> VfProperties:
        return now._replace(vlan=77)

    def forget(self, vm: ManifestVm, aside: str | None) -> None:
        self.calls.append(("forget", vm.name, Path(aside).name if aside else ""))


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNode]:
    """A toy VM with VF 2, whose manager may start it."""
    monkeypatch.setattr(registry, "CLASSES", (Managed, QemuBackend))
    node = FakeNode(tmp_path)
    monkeypatch.setattr(qmp, "_peer_pid", node.pid_of)
    pf = node.igb()
    toy(pf, 2)
    node.host.draw()
    yield node
    ToyBackend.table.clear()
    Managed.loaded.clear()
    Managed.calls.clear()
    Managed.refusal.clear()


def _saved(node: FakeNode) -> None:
    arm(node)
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert claim(node, "toy1").state == "saved"


def _vm(node: FakeNode) -> ManifestVm:
    manifest = manifest_file.load(node.live.folder.path)
    assert manifest is not None
    return manifest.vms[0]


def _started_by_others(node: FakeNode) -> None:
    """From its memory, without its VF."""
    ToyBackend.table["toy1"] = ToyVm(41, "blue", _vm(node).vfs[0].address)
    Managed.loaded.add("toy1")


def test_a_process_is_of_the_first_backend_that_finds_it(node: FakeNode) -> None:
    """The backend of QEMUs leaves those of managers alone."""
    (pf,) = node.host.pfs.values()
    node.vm("web1", pf, 6)
    assert registry.CLASSES[0] is Managed
    assert [vm.name for vm in node.qemu.probe({}, ())] == ["web1"]
    mine = node.qemu.pid("web1")
    assert mine is not None
    assert list(node.qemu.probe({}, (mine,))) == []
    ToyBackend.table["toy1"].running = True
    facts, _verdict = _arm.examine(node.live, request())
    assert sorted(vm.name for vm in facts.vms) == ["toy1", "web1"]


def test_a_start_by_others_is_completed(node: FakeNode) -> None:
    """Its memory is used by then, which its claim says, too."""
    _saved(node)
    _started_by_others(node)
    assert resume.resume(node.live) == "done"
    assert claim(node, "toy1").state == "acknowledged"
    assert result(node)["vms"][0]["result"] == "restored"


def test_a_start_from_its_disks_is_a_conflict(node: FakeNode) -> None:
    _saved(node)
    _started_by_others(node)
    Managed.loaded.clear()
    assert resume.resume(node.live) == "failed"
    assert claim(node, "toy1").state == "saved"
    assert "another VM of this name runs already" in str(result(node)["vms"][0]["error"])


def test_a_vm_that_others_have_loaded_is_no_foreign_one(node: FakeNode) -> None:
    _saved(node)
    _started_by_others(node)
    vm = _vm(node)
    assert not vf_users.is_foreign(node.live, vm)
    Managed.loaded.clear()
    assert vf_users.is_foreign(node.live, vm)


def test_what_a_manager_resets_comes_back_as_its_backend_says(node: FakeNode) -> None:
    _saved(node)
    assert _vm(node).vfs[0].properties.vlan == 77


def test_others_are_kept_from_loading_memory_upon_other_disks(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    def changed(*_words: object) -> None:
        raise saved_disks.ChangedError("its disks are not those that it was saved with")

    _saved(node)
    monkeypatch.setattr(saved_disks, "require_unchanged", changed)
    assert resume.resume(node.live) == "failed"
    assert ("withhold", "toy1") in Managed.calls


def test_what_is_given_up_is_told_before_its_state_moves(node: FakeNode) -> None:
    _saved(node)
    way_out.forget_vms(node.live, (), ("toy1",))
    assert Managed.calls == [("forget", "toy1", "toy1")]


def test_an_update_that_is_forgotten_is_told(node: FakeNode) -> None:
    _saved(node)
    resume.resume(node.live)
    assert way_out.forget(node.live, ())
    assert Managed.calls == [("forget", "toy1", "")]


def test_a_watch_begins_once_while_a_vm_is_left_saved(node: FakeNode) -> None:
    watching.begin(node.live)
    _saved(node)
    assert [argv for argv in node.calls if "watch" in argv] == []
    watching.begin(node.live)
    (argv,) = [argv for argv in node.calls if "watch" in argv]
    assert argv[:5] == RUN.split()
    assert argv[-4:] == ["--", "/usr/local/sbin/sriovctl", "live-update", "watch"]


def test_nothing_is_watched_without_a_manager(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    _saved(node)
    monkeypatch.setattr(Managed, "managed", False)
    node.calls.clear()
    watching.begin(node.live)
    watching.run(node.live, lambda names: pytest.fail(str(names)))
    assert node.calls == []


def test_a_watch_completes_what_others_start(node: FakeNode) -> None:
    """It ends with the last saved VM."""
    _saved(node)
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            _started_by_others(node)

    host = replace(node.live, sleep=sleep)
    watching.run(host, lambda names: way_out.restore(node.live, names))
    assert claim(node, "toy1").state == _claim.ACKNOWLEDGED
    assert len(pauses) >= 3


def test_a_watch_tries_again_later_and_goes_on(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    _saved(node)
    _started_by_others(node)
    tried: list[object] = []

    def fails(names: object) -> None:
        tried.append(names)
        raise SriovError("by the test")

    pauses = iter(range(3))

    def sleep(_seconds: float) -> None:
        if next(pauses, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watching.run(replace(node.live, sleep=sleep), fails)
    assert tried == [["toy1"]]
    monkeypatch.setattr(watching, "WATCH_AGAIN_S", -1.0)
    pauses = iter(range(3))
    tried.clear()
    with pytest.raises(KeyboardInterrupt):
        watching.run(replace(node.live, sleep=sleep), fails)
    assert len(tried) == 4


def _watch(node: FakeNode, looks: int) -> None:
    """Look so often for starts by others, of whom there are none."""
    pauses = iter(range(looks - 1))

    def sleep(_seconds: float) -> None:
        if next(pauses, None) is None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watching.run(replace(node.live, sleep=sleep), lambda names: pytest.fail(str(names)))


def test_a_watch_offers_what_is_saved_at_each_look(node: FakeNode) -> None:
    """A refusal is logged once."""
    _saved(node)
    Managed.refusal.append("its disks were changed")
    _watch(node, 3)
    assert Managed.calls == [("offer", "toy1", "state")] * 3
    assert [line for line in node.log if "its disks were changed" in line] == [
        "VM toy1: others cannot start it with its memory: its disks were changed"
    ]


def test_nothing_is_offered_while_somebody_acts(node: FakeNode) -> None:
    _saved(node)
    with act_lock.held(node.live.sysfs):
        _watch(node, 2)
    assert Managed.calls == []


def test_what_may_have_run_is_not_offered(node: FakeNode) -> None:
    _saved(node)
    folder = node.live.folder.vm("toy1")
    found = _claim.load(folder)
    assert found is not None
    _claim.store(folder, replace(found, state=_claim.RUNNING))
    _watch(node, 2)
    assert Managed.calls == []


def test_what_other_hosts_may_start_is_not_offered(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    _saved(node)
    monkeypatch.setattr(elsewhere, "shared", lambda _claim: ["image x is on shared storage"])
    _watch(node, 2)
    assert Managed.calls == []
