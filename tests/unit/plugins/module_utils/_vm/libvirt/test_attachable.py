# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A VF is attached again by the address that it has."""

from __future__ import annotations

from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools import whole_domain
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.libvirt import attachable

PLACE = "<address type='pci' domain='0x0000' bus='0x04' slot='0x10' function='0x2'/>"
REST = "<mac address='02:00:00:00:00:01'/><model type='virtio'/><alias name='net0'/><address type='pci' slot='0x03'/>"
ACTUAL = (
    f"<actual type='hostdev' managed='yes'><driver name='vfio'/><source>{PLACE}</source>"
    "<vlan><tag id='100'/></vlan></actual>"
)


def _same(one: str, other: str) -> bool:
    return sorted(one.replace('"', "'").replace(" ", "")) == sorted(other.replace('"', "'").replace(" ", ""))


def test_an_interface_of_a_network_is_attached_by_address() -> None:
    """In the forms of libvirt's states and of live XML."""
    given = f"<source>{PLACE}</source><vlan><tag id='100'/></vlan><driver name='vfio'/>"
    wanted = f"<interface type='hostdev' managed='yes'>{REST}{given}</interface>"
    network = f"<interface type='network'><source network='vfs' portgroup='p'/><vlan><tag id='5'/></vlan>{REST}{ACTUAL}"
    made = attachable.by_address(f"{network}</interface>")
    assert _same(made, wanted)
    (device,) = whole_domain.parse(f"<domain><name>w</name><devices>{made}</devices></domain>").host_devices
    assert (device.element, device.address, device.managed) == ("interface", "0000:04:10.2", True)
    live = (
        f"<interface type='hostdev' managed='yes'><source network='vfs' portid='1'>{PLACE}</source>{REST}</interface>"
    )
    assert _same(attachable.by_address(live), live.replace(" network='vfs' portid='1'", ""))


def test_what_has_an_address_stays_as_it_is() -> None:
    for one in (
        f"<hostdev mode='subsystem' type='pci' managed='no'><source>{PLACE}</source>{REST}</hostdev>",
        f"<interface type='hostdev' managed='yes'><source>{PLACE}</source>{REST}</interface>",
    ):
        assert _same(attachable.by_address(one), one)
