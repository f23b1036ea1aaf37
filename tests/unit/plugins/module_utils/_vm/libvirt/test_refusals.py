# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a domain cannot be saved, in libvirt's words."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools import whole_domain
from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools.virsh import Info
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt import refusals
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt.facts import LibvirtFacts
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.record import IN_PLACE, MIGRATE, SHUTDOWN
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.vm_facts import VmFacts

UUID = "c7a5fdbd-edaf-9455-926a-d65c16db1809"
INFO = Info(UUID, "running", True, False, False)
VF = (
    "<hostdev type='pci'><source><address slot='1'/></source><alias name='h0'/></hostdev>"
    "<disk type='file'><source file='/i'/><backingStore/><target dev='vda'/></disk>"
)


def _problems(
    devices: str = VF, info: Info = INFO, pid: int = 1, strategy: str = IN_PLACE, **words: object
) -> list[tuple[str, str]]:
    domain = whole_domain.parse(f"<domain><name>w</name><uuid>{UUID}</uuid><devices>{devices}</devices></domain>")
    facts = replace(LibvirtFacts(domain, info, room=1 << 30, need=refusals.room(512 << 20)), **words)  # type: ignore[arg-type]  # fields of it
    return list(refusals.problems(VmFacts("w", "libvirt", pid, 1, "", facts, memory_bytes=512 << 20), strategy))


def test_an_ordinary_domain_can_be_saved() -> None:
    assert _problems() == []
    assert _problems(info=replace(INFO, persistent=False)) == []
    assert _problems(room=(512 << 20) + refusals.ROOM) == []


PROBLEMS = [
    ({"info": replace(INFO, state="paused")}, "it is paused, not running", "virsh resume"),
    ({"pid": 0}, "does not say its process", "restart"),
    ({"saved": True}, "save/w.save is there already", "virsh managedsave-remove"),
    ({"room": 575 << 20}, "has 575 MiB free, all saves take up to 576 MiB", "larger file system"),
    ({"blocked": ("device 'x' says no",)}, "QEMU does not save it: device 'x' says no", "migrate"),
    ({"replaced": ("/i",)}, "image /i was replaced", "put the file back"),
    ({"devices": "<hostdev type='usb'/>"}, "a hostdev of type 'usb'", "virsh detach-device"),
    ({"devices": "<hostdev type='mdev'/>"}, "a hostdev of type 'mdev'", "migrate"),
    ({"devices": VF.replace("<alias name='h0'/>", "")}, "its device 0000:00:01.0 has no alias", "migrate"),
    ({"devices": "<shmem name='m'/>"}, "a shmem device", "migrate"),
    ({"devices": "<filesystem type='mount'/>"}, "a filesystem device", "shut it down"),
    ({"devices": "<interface type='vdpa'/>"}, "an interface of type 'vdpa'", "shut it down"),
    ({"devices": VF.replace("<backingStore/>", "")}, "on which images its disk vda rests", "<backingStore>"),
    ({"devices": VF.replace("<backingStore/>", "<backingStore/><mirror/>")}, "a block job runs on its disk vda",
     f"virsh blockjob {UUID} vda --abort"),
    ({"devices": VF.replace("<backingStore/>", "<backingStore/><transient/>")}, "its disk vda is transient", "overlay"),
    ({"devices": "<disk type='nvme'><source><address slot='1'/></source></disk>"}, "a disk of type 'pci'", "migrate"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "problem", "fix"), PROBLEMS, ids=range(len(PROBLEMS)))
def test_each_reason_has_its_fix(words: dict[str, object], problem: str, fix: str) -> None:
    found = [(one, other) for one, other in _problems(**words) if problem in one]  # type: ignore[arg-type]  # rows
    assert len(found) == 1
    assert fix in found[0][1]


SAVE_ALONE = ("has 575 MiB free", "QEMU does not save it", "whose state cannot be saved", "which QEMU does not save",
              "has no alias", "a disk of type 'pci'")  # fmt: skip
"""What hinders a save alone.

libvirt gives a domain its devices when it starts.
"""
BY_LIBVIRT = ("save/w.save is there already", "was replaced", "on which images", "a block job runs", "is transient")
"""What libvirt itself says of a migration, or does not mind."""


@pytest.mark.parametrize(("words", "problem", "_fix"), PROBLEMS, ids=range(len(PROBLEMS)))
def test_what_hinders_a_save_alone_is_no_matter_to_a_shutdown(
    words: dict[str, object], problem: str, _fix: str
) -> None:
    (said,) = [one for one, _other in _problems(**words) if problem in one]  # type: ignore[arg-type]  # rows
    found = [one for one, _other in _problems(**words, strategy=SHUTDOWN) if problem in one]  # type: ignore[arg-type]  # rows
    assert bool(found) != any(one in said for one in SAVE_ALONE)


@pytest.mark.parametrize(("words", "problem", "_fix"), PROBLEMS, ids=range(len(PROBLEMS)))
def test_what_hinders_a_migration(words: dict[str, object], problem: str, _fix: str) -> None:
    """That it does not run, and devices that are not detached."""
    (said,) = [one for one, _other in _problems(**words) if problem in one]  # type: ignore[arg-type]  # rows
    found = [one for one, _other in _problems(**words, strategy=MIGRATE) if problem in one]  # type: ignore[arg-type]  # rows
    saved = ("has 575 MiB free", "QEMU does not save it", "which QEMU does not save")
    assert bool(found) != any(one in said for one in (*BY_LIBVIRT, *saved))
