# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Properties of VFs that change while VMs are saved."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import manifest_file, resume, save
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.status import Progress
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import FakeNode, Rebooted
from tests.fake.vm.update import arm, live, phase, result

PHASES = ("unplugging", "copying", "saving", "saved")
MAC = "02:00:00:00:00:06"


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[], object]], None]:
    """Do something when the update enters a phase."""
    enter = Progress.enter

    def do(when: str, act: Callable[[], object]) -> None:
        def entered(self: Progress, name: str, message: str = "") -> None:
            enter(self, name, message)
            if name == when:
                act()

        monkeypatch.setattr(Progress, "enter", entered)

    return do


def updated(node: FakeNode, pf: FakePf) -> dict[str, object]:
    """Properties of the VM's VF after the update."""
    arm(node)
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert resume.resume(node.live) == "done"
    return node.properties(pf.vfs[6].address)


@pytest.mark.parametrize("when", PHASES)
def test_what_an_administrator_changes_meanwhile_stays(
    node: FakeNode, pf: FakePf, at: Callable[..., None], when: str
) -> None:
    """Copying memory takes minutes."""
    at(when, lambda: pf.properties[6].update(vlan=300, spoofchk=True))
    found = updated(node, pf)
    assert (found["vlan"], found["spoofchk"], found["mac"]) == (300, True, MAC)
    assert "properties of VFs have changed, and stay as they are now: VM web1" in " ".join(node.log)


def test_they_are_durable_before_anything_is_done(node: FakeNode, pf: FakePf, at: Callable[..., None]) -> None:
    """The host may go down at once; its VM starts with them."""
    seen: list[object] = []

    def look() -> None:
        for folder in (node.live.folder.path, node.live.folder.vm("web1")):
            found = manifest_file.load(folder)
            seen.append(found and found.vms[0].vfs[0].properties.vlan)

    at("unplugging", look)
    arm(node)
    pf.properties[6].update(vlan=300)
    with pytest.raises(Rebooted):
        save.run(node.live)
    assert seen == [300, 300]


def test_the_copy_has_them_too(node: FakeNode, pf: FakePf, at: Callable[..., None]) -> None:
    at("saving", lambda: pf.properties[6].update(vlan=300))
    updated(node, pf)
    copy = manifest_file.load(node.live.folder.vm("web1"))
    assert copy is not None
    assert copy.vms[0].vfs[0].properties.vlan == 300


def test_an_address_that_goes_with_the_guests_driver_stays(node: FakeNode, pf: FakePf, at: Callable[..., None]) -> None:
    """A driver forgets a guest's own address once it resets."""
    at("copying", lambda: pf.properties[6].update(mac="00:00:00:00:00:00", vlan=300))
    found = updated(node, pf)
    assert (found["mac"], found["vlan"]) == (MAC, 300)


def test_an_address_that_is_set_meanwhile_stays(node: FakeNode, pf: FakePf, at: Callable[..., None]) -> None:
    at("copying", lambda: pf.properties[6].update(mac="02:00:00:00:99:99"))
    assert updated(node, pf)["mac"] == "02:00:00:00:99:99"


def test_properties_that_cannot_be_read_end_the_update(node: FakeNode, pf: FakePf, at: Callable[..., None]) -> None:
    """Nobody would know what the VM is given back."""
    guest = (live(node).guest or {})["boot"]

    def fails(argv: Sequence[str]) -> None:
        if argv[0] == "ip" and "show" in argv:
            raise ToolError(argv, 255, "Device or resource busy")

    def deaf() -> None:
        node.on_run = fails

    at("saved", deaf)
    arm(node)
    assert save.run(node.live) == "aborted"
    assert ((live(node).guest or {})["boot"], live(node).status, phase(node)) == (guest, "running", "aborted")
    assert "Device or resource busy" in str(result(node)["error"])
