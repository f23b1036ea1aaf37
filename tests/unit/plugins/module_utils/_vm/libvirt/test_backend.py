# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The backend waits for what libvirt is doing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.properties import VfProperties
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools import whole_domain
from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools.virsh import Info
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import Backend, Deadlines
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.ending import EndedError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.attempt import Attempt
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.backend import LibvirtBackend
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.connection import Connection
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.devices import Devices
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.facts import LibvirtFacts
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.part import LibvirtPart
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import ManifestVf, ManifestVm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.vm_facts import VmFacts

UUID = "c7a5fdbd-edaf-9455-926a-d65c16db1809"
VM = ManifestVm(
    name="w", backend="libvirt", priority=0, pid=1, started=1, unit="", cold_start=False, straggler="leave",
    on_other_kernel="restore", check={}, vfs=(), part={"uuid": UUID, "domain": "w", "devices": {},
    "images": [], "autostart": False, "autostart_once": False, "definition": ""},
)  # fmt: skip
DOMINFO = f"UUID: {UUID}\nState: shut off\nPersistent: yes\nAutostart: disable\nManaged save: {{}}\n"


class Libvirt:
    """Answers by command, each in turn; the last one stays."""

    def __init__(self, **answers: list[str]) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, argv: Sequence[str]) -> str:
        self.asked.append(argv[4])
        answers = self.answers.get(argv[4], [])
        if not answers:
            raise ToolError(argv, 1, "error: not now")
        return answers.pop(0) if len(answers) > 1 else answers[0]


def _backend(libvirt: Libvirt, **deadlines: float) -> LibvirtBackend:
    return LibvirtBackend(Sysfs("/nowhere"), libvirt, Deadlines(**deadlines), sleep=lambda _s: None)  # type: ignore[arg-type]  # one kind


def test_it_is_one_of_the_backends() -> None:
    backend: Backend = _backend(Libvirt())
    assert backend.name == "libvirt"


def test_a_save_under_way_is_awaited() -> None:
    libvirt = Libvirt(domstate=["paused (saving)\n", "paused (saving)\n", "shut off (saved)\n"],
                      dominfo=[DOMINFO.format("yes")])  # fmt: skip
    _backend(libvirt).release(VM, "/nowhere/state")
    assert libvirt.asked == ["domstate", "domstate", "domstate", "dominfo"]


def test_a_save_that_does_not_end_is_not_awaited_for_ever() -> None:
    libvirt = Libvirt(domstate=["paused (saving)\n"], dominfo=[DOMINFO.format("no")])
    with pytest.raises(EndedError):
        _backend(libvirt, migrate_s=0.0).release(VM, "/nowhere/state")


def test_a_libvirtd_that_does_not_answer_is_awaited_until_its_deadline() -> None:
    with pytest.raises(ToolError, match="not now"):
        _backend(Libvirt(), start_s=0.0).ready(VM)


XML = f"<domain><name>w</name><uuid>{UUID}</uuid><devices>{{}}</devices></domain>"
VF = "<hostdev type='pci'><source><address bus='4' slot='0x10' function='2'/></source></hostdev>"


def test_a_vf_that_libvirt_says_it_attached_is_seen(tmp_path: Path) -> None:
    libvirt = Libvirt(dumpxml=[XML.format("")], **{"attach-device": [""]})
    vf = ManifestVf("0000:04:00.0", 1, "0000:04:10.2", VfProperties())
    vm = replace(VM, vfs=(vf,), part={**VM.part, "devices": {vf.address: VF}})
    devices = Devices(Sysfs(str(tmp_path)), Connection(libvirt), vm, LibvirtPart.of(vm))
    with pytest.raises(SriovError, match=r"libvirt has attached VF 0000:04:10\.2, and the domain lacks it"):
        devices.attach()
    libvirt.answers["dumpxml"] = [XML.format(""), XML.format(VF)]
    devices.attach()
    assert Sysfs(str(tmp_path)).names("/run/kvmfleet-sriov/libvirt") == []


def test_a_start_of_another_boot_is_known_as_one(tmp_path: Path) -> None:
    sysfs = Sysfs(str(tmp_path))
    boot = tmp_path / "proc/sys/kernel/random/boot_id"
    boot.parent.mkdir(parents=True)
    boot.write_text("one\n")
    attempt = Attempt(sysfs, UUID)
    assert (attempt.begun(), attempt.is_of_this_boot()) == (False, False)
    attempt.begin()
    assert (attempt.begun(), attempt.is_of_this_boot()) == (True, True)
    boot.write_text("two\n")
    assert (attempt.begun(), attempt.is_of_this_boot()) == (True, False)
    attempt.end()
    assert not attempt.begun()


def test_what_cannot_be_asked_is_not_withdrawn_and_has_no_reason() -> None:
    backend = _backend(Libvirt())
    assert not backend.withdraw(VM)
    assert backend.ending(VM).why.startswith("libvirt does not say why: ")


def test_what_a_network_has_given_instead_is_not_added_to(tmp_path: Path) -> None:
    """A domain that was booted anew has one VF, not two."""
    libvirt = Libvirt(dumpxml=[XML.format(VF.replace("function='2'", "function='4'"))])
    vf = ManifestVf("0000:04:00.0", 1, "0000:04:10.2", VfProperties())
    vm = replace(VM, vfs=(vf,), part={**VM.part, "devices": {vf.address: VF}})
    Devices(Sysfs(str(tmp_path)), Connection(libvirt), vm, LibvirtPart.of(vm)).attach()
    assert "attach-device" not in libvirt.asked


def test_a_libvirt_that_does_not_answer_is_said_of_each_domain(tmp_path: Path) -> None:
    """Those whose QEMU is there, by the files of libvirt."""
    state = f"<domstatus pid='{{}}'><domain><name>{{}}</name><uuid>{UUID}</uuid></domain></domstatus>"
    (tmp_path / "run/libvirt/qemu").mkdir(parents=True)
    (tmp_path / "proc/7").mkdir(parents=True)
    (tmp_path / "proc/7/stat").write_text(f"7 (qemu) {' '.join(map(str, range(50)))}")
    for name, pid in (("w", 7), ("gone", 8)):
        (tmp_path / f"run/libvirt/qemu/{name}.xml").write_text(state.format(pid, name))
    backend = LibvirtBackend(Sysfs(str(tmp_path)), Libvirt(), Deadlines())
    (vm,) = backend.probe({}, ())
    assert (vm.name, vm.pid) == ("w", 7)
    ((problem, fix),) = backend.problems(vm)
    assert problem.startswith("libvirt does not answer: 'virsh ")
    assert "virtqemud" in fix


def test_no_process_is_started_where_libvirt_has_no_domain(tmp_path: Path) -> None:
    libvirt = Libvirt()
    (tmp_path / "proc").mkdir()
    assert list(LibvirtBackend(Sysfs(str(tmp_path)), libvirt, Deadlines()).probe({}, ())) == []
    (tmp_path / "run/libvirt/qemu").mkdir(parents=True)
    assert list(LibvirtBackend(Sysfs(str(tmp_path)), libvirt, Deadlines()).probe({}, ())) == []
    assert libvirt.asked == []


@pytest.mark.parametrize(("persistent", "kept"), [(True, ["--persistent", "--undefinesource"]), (False, [])])
def test_the_words_that_migrate_a_domain(persistent: bool, kept: list[str]) -> None:
    """A transient one has no definition to take along."""
    domain = whole_domain.parse(XML.format(""))
    info = Info(UUID, "running", persistent, autostart=False, managed_save=False)
    vm = VmFacts("w", "libvirt", 1, 1, "", LibvirtFacts(domain, info, room=0))
    assert list(_backend(Libvirt()).moving(vm, "[2001:db8::7]")) == [
        "virsh", "-q", "-c", "qemu:///system", "migrate", "--domain", UUID, "--live", *kept,
        "--desturi", "qemu+ssh://[2001:db8::7]/system",
    ]  # fmt: skip


@pytest.mark.parametrize(("autostart", "starts"), [("enable", True), ("disable", False)])
def test_a_domain_that_has_left_and_would_be_started_again(autostart: str, starts: bool) -> None:
    info = DOMINFO.format("no").replace("Autostart: disable", f"Autostart: {autostart}")
    found = _backend(Libvirt(dominfo=[info])).starts_again(VM)
    assert (found is not None) == starts
    assert found is None or "virsh undefine w" in found


def test_a_domain_that_is_gone_is_not_started_again() -> None:
    def gone(argv: Sequence[str]) -> str:
        raise ToolError(argv, 1, f"error: failed to get domain '{UUID}'")

    assert _backend(gone).starts_again(VM) is None  # type: ignore[arg-type]  # a program
