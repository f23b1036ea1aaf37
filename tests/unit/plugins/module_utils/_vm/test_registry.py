# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A second backend is a folder and a row of the registry.

A live update takes its VMs along with QEMU's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from zipfile import ZipFile

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as _arm
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import manifest as _manifest
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import manifest_file, resume, save
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm import registry
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt import registered
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu import qmp
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.backend import QemuBackend
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._node_program import pack
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.toy import ToyBackend, ToyVm, toy
from tests.fake.vm.update import arm, live, request, result


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeNode]:
    """A QEMU with VF 6 and a toy VM with VF 2."""
    monkeypatch.setattr(registry, "CLASSES", (QemuBackend, ToyBackend))
    node = FakeNode(tmp_path)
    monkeypatch.setattr(qmp, "_peer_pid", node.pid_of)
    pf = node.igb()
    node.vm("web1", pf, 6)
    toy(pf, 2)
    node.host.draw()
    yield node
    ToyBackend.table.clear()


def test_libvirt_finds_its_vms_before_qemu() -> None:
    """And its modules are sent to hosts with the program."""
    assert [one.name for one in registered.CLASSES] == ["libvirt"]
    assert [one.name for one in registry.CLASSES] == ["libvirt", "command", "qemu"]
    with ZipFile(BytesIO(pack())) as program:
        sent = {name.rpartition("/_vm/libvirt/")[2] for name in program.namelist() if "/_vm/libvirt/" in name}
    assert {"backend.py", "restoring.py", "guard.py"} <= {name.replace(".pyc", ".py") for name in sent}


def test_both_are_updated(node: FakeNode) -> None:
    node.put("/proc/modules", "".join(f"{name} 1 0 - Live 0x0\n" for name in ("tun", "toy_bus", "psmouse")))
    manifest = arm(node, options=Options(allow_missing_modules=("toy_bus",)))
    assert manifest.modules == ("tun", "toy_bus")
    parts = {vm.name: (vm.backend, vm.part, vm.unit) for vm in manifest.vms}
    assert parts["toy1"] == ("toy", {"color": "blue"}, "toy-toy1.service")
    assert parts["web1"][0] == "qemu"
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert ToyBackend.table == {}
    assert resume.resume(node.live) == "done"
    assert ToyBackend.table["toy1"] == ToyVm(41, "blue", manifest.vms[1].vfs[0].address)
    assert live(node, "web1").status == "running"
    assert {vm["name"]: vm["result"] for vm in result(node)["vms"]} == {"web1": "restored", "toy1": "restored"}


def test_its_own_preflight(node: FakeNode) -> None:
    ToyBackend.table["toy1"].color = "red"
    _facts, verdict = _arm.examine(node.live, request())
    assert [str(item) for item in verdict.refusals] == ["VM toy1 (process 9): it is red: paint it"]


def test_its_own_dry_start(node: FakeNode) -> None:
    ToyBackend.table["toy1"].color = "gold"
    _facts, verdict = _arm.examine(node.live, request())
    assert [str(item) for item in verdict.refusals] == ["VM toy1 (process 9): no gold is left: buy some"]
    assert verdict.warnings == ()


def test_a_save_that_fails_lets_both_go_on(node: FakeNode) -> None:
    arm(node)
    node.scripts["web1"].migrate = "fails"
    assert save.run(node.live) == "aborted"
    assert ToyBackend.table["toy1"].running
    assert live(node, "web1").status == "running"


def test_a_manifest_that_names_a_backend_which_is_not_there(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest = arm(node)
    monkeypatch.setattr(registry, "CLASSES", (QemuBackend,))
    with pytest.raises(BadInputError, match=r"vms\[1\]\.backend: 'toy' is not known here; there are: qemu"):
        manifest_file.load(node.live.folder.path)
    monkeypatch.undo()
    monkeypatch.setattr(registry, "CLASSES", (QemuBackend, ToyBackend))
    wrong = replace(manifest, vms=tuple(replace(vm, part={}) for vm in manifest.vms if vm.backend == "toy"))
    with pytest.raises(BadInputError, match=r"manifest\.vms\[0\]\.part\.color: missing"):
        _manifest.validate(wrong.to_dict())
