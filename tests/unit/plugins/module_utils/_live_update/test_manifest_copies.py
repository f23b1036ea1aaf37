# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A damaged manifest keeps no VM stopped whose copy is good."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import manifest_copies, save
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import parse
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError, RefusedError
from tests.fake.linux.pf import FakePf
from tests.fake.vm.damaged import commands, damage, kept_aside
from tests.fake.vm.node import OLD, FakeNode
from tests.fake.vm.update import OPTIONS, PROPERTIES, Killed, arm, claim, jump, killed, live, phase, result

DAMAGES = (b"", b"{}", b'{"schema": 5, "id"', b"\xff\xfe", b"[]", None, "missing", "readable by all")


@pytest.fixture
def two(node: FakeNode, pf: FakePf) -> FakeNode:
    node.vm("web2", pf, 2)
    return node


@pytest.fixture
def command(node: FakeNode, pf: FakePf, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    return commands(node, monkeypatch)


def spoil(node: FakeNode, how: bytes | str | None) -> None:
    path = Path(node.live.folder.path) / "manifest.json"
    if how == "missing":
        path.unlink()
    elif isinstance(how, str):
        path.chmod(0o644)
    else:
        damage(node, path.name, how)


def boots(node: FakeNode) -> dict[str, object]:
    """What tells guests apart that never stopped."""
    return {name: (live(node, name).guest or {})["boot"] for name in ("web1", "web2")}


@pytest.mark.parametrize("step", ["resume", "come-back", "restore"])
@pytest.mark.parametrize("how", DAMAGES)
def test_all_vms_come_back(
    two: FakeNode, pf: FakePf, command: Callable[..., int], step: str, how: bytes | str | None
) -> None:
    guests = boots(two)
    jump(two)
    spoil(two, how)
    assert command(step) == 0
    assert boots(two) == guests
    assert {key: two.properties(pf.vfs[6].address)[key] for key in PROPERTIES} == PROPERTIES
    assert (phase(two), result(two)["result"], sorted(pf.vfs)) == ("done", "updated", list(range(7)))
    assert kept_aside(two, "manifest.json") or how == "missing"
    assert command("forget") == 0


def test_policies_of_vms_are_known_on_another_kernel(two: FakeNode, command: Callable[..., int]) -> None:
    guests = boots(two)
    jump(two)
    two.kexec("BOOT_IMAGE=/vmlinuz root=/dev/vda ro")
    two.put("/proc/sys/kernel/osrelease", OLD + "\n")
    spoil(two, b"")
    assert command("come-back") == 1
    assert (boots(two), result(two)["result"]) == (guests, "returned")


@pytest.mark.parametrize("step", ["copy", "save", "discard"])
def test_a_run_that_was_killed_is_undone(two: FakeNode, pf: FakePf, command: Callable[..., int], step: str) -> None:
    guests = boots(two)
    arm(two)
    with killed(two, step), pytest.raises(Killed):
        save.run(two.live)
    spoil(two, b"{")
    assert command("recover") == 0
    assert (boots(two), phase(two)) == (guests, "aborted")
    assert [(live(two, name).status, len(live(two, name).devices)) for name in guests] == [("running", 1)] * 2


def test_a_copy_that_is_damaged_too_concerns_its_vm(
    two: FakeNode, command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    """The others come back; what to type for it is said everywhere."""
    jump(two)
    spoil(two, b"")
    damage(two, "vms/web1/manifest.json", b"{}")
    typed = "`sriovctl live-update forget --discard-memory web1`"
    assert command("resume") == 1
    assert (two.live_vm("web1"), live(two, "web2").status) == (None, "running")
    assert typed in " ".join(two.log)
    assert (result(two)["result"], typed in str(result(two)["error"])) == ("failed", True)
    assert next(vm for vm in result(two)["vms"] if vm["name"] == "web1")["result"] == "failed"
    with pytest.raises(BadInputError, match=r"VM web1: neither the manifest nor its copy .*--discard-memory web1"):
        command("restore", vm=["web1"])
    with pytest.raises(RefusedError, match="saved states of web1 would be lost"):
        command("forget")
    assert command("status") == 0
    assert "saved and not running: web1" in capsys.readouterr().out
    assert command("forget", discard_memory=["web1"]) == 0
    (aside,) = (two.host.root / "var/lib/kvmfleet-sriov/discarded").iterdir()
    assert (aside / "state").stat().st_size > 0


def test_each_vm_is_named_where_no_copy_is_good(two: FakeNode, command: Callable[..., int]) -> None:
    """A run was killed with both saved; nothing can bring them back."""
    arm(two)
    with killed(two, "discard"), pytest.raises(Killed):
        save.run(two.live)
    spoil(two, b"")
    for name in boots(two):
        damage(two, f"vms/{name}/manifest.json", b"{")
    for step in ("recover", "restore"):
        with pytest.raises(BadInputError, match=r"--discard-memory web1.*--discard-memory web2"):
            command(step)
    assert not os.path.lexists(f"{two.live.folder.path}/manifest.json.damaged")
    assert command("forget", discard_memory=["web1", "web2"]) == 0
    assert two.loaded is None
    assert command("status") == 0


def test_copies_of_another_update_are_not_taken(two: FakeNode, command: Callable[..., int]) -> None:
    jump(two)
    path = Path(two.live.folder.vm("web1")) / "manifest.json"
    other = json.loads(path.read_text())
    path.write_text(json.dumps({**other, "id": "0" * 32}))
    spoil(two, b"")
    assert command("resume") == 1
    assert (two.live_vm("web1"), live(two, "web2").status) == (None, "running")
    assert claim(two).state == "saved"


def test_deadlines_are_those_of_the_update(two: FakeNode) -> None:
    """What acts on the host takes them before anything is mended."""
    jump(two)
    spoil(two, b"")
    found = manifest_copies.load(two.live.folder)
    assert found is not None
    assert parse(found.options) == OPTIONS


def test_nothing_is_made_of_copies_when_all_is_over(two: FakeNode, command: Callable[..., int]) -> None:
    """A `forget` that was killed has deleted the manifest already."""
    jump(two)
    assert command("resume") == 0
    for name in ("manifest.json", "status.json"):
        (Path(two.live.folder.path) / name).unlink()
    assert command("status") == 0
    assert not os.path.lexists(f"{two.live.folder.path}/manifest.json")
