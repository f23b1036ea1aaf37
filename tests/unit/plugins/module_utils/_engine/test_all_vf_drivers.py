# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A driver that needs all VFs is asked again when bound anew."""

from __future__ import annotations

from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine import all_vf_drivers
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers.pfs import read_pfs
from tests.fake.linux.host import FakeHost

PF = "0000:03:00.0"


def test_a_record_ends_with_the_binding(tmp_path: Path) -> None:
    host = FakeHost(tmp_path)
    host.igb(PF)
    states = read_pfs(host.sysfs, [PF], vfs=False)
    all_vf_drivers.note(host.sysfs, states[PF])
    assert all_vf_drivers.known(host.sysfs, states)[PF].needs_all_vfs
    other = {PF: states[PF]._replace(driver="ixgbe")}
    assert not all_vf_drivers.known(host.sysfs, other)[PF].needs_all_vfs
    link = host.root / f"sys/bus/pci/devices/{PF}/driver"
    target = link.readlink()
    (link.parent / "another").symlink_to(target)
    (link.parent / "another").rename(link)
    assert not all_vf_drivers.known(host.sysfs, states)[PF].needs_all_vfs
