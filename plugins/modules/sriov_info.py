#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sriov_info
short_description: Read the SR-IOV state of a host
version_added: 0.1.0
description:
  - Returns every SR-IOV physical function (PF) of a host with its virtual functions (VFs), which interface the running
    kernel offers for them, and who uses them.
author:
  - The kvmfleet.sriov contributors (@kvmfleet)
extends_documentation_fragment:
  - kvmfleet.sriov._attributes.info
requirements:
  - Python 3.9 or newer on the managed host
  - C(ip) and C(devlink) of iproute2 on the managed host, for administrative properties of VFs and eswitches
options:
  pfs:
    description:
      - Only these PFs, each named or selected as in O(kvmfleet.sriov.sriov_pf#module:pfs[].pf), so that this shows
        what a selector means there.
      - By default all PFs.
    type: list
    elements: raw
  properties:
    description:
      - Whether to read the administrative properties (MAC address, VLAN and so on) of VFs, MTUs, modes of eswitches and
        numbers of MSI-X vectors.
    type: bool
    default: true
seealso:
  - module: kvmfleet.sriov.sriov_pf
"""

EXAMPLES = r"""
- name: Read all PFs
  kvmfleet.sriov.sriov_info:
  register: sriov

- name: Read one
  kvmfleet.sriov.sriov_info:
    pfs: [eth0]
    properties: false

- name: Read all NVMe devices with SR-IOV of one NUMA node
  kvmfleet.sriov.sriov_info:
    pfs:
      - {class: nvme, numa_node: 0, all: true}
"""

RETURN = r"""
pfs:
  description: The PFs in the order of their addresses.
  returned: success
  type: list
  elements: dict
  contains:
    pf:
      description: PCI address.
      type: str
      sample: "0000:03:00.0"
    netdev:
      description: Name of the network interface, null for a PF without one.
      type: str
      sample: eth0
    driver:
      description: Driver of the PF, null for none.
      type: str
      sample: igb
    interface:
      description: The kernel's interface for the VFs of this PF, C(vf-id), C(vf-id-narrow) or C(stock).
      type: str
      sample: vf-id
    abilities:
      description: What that interface can do.
      type: dict
      sample: {enable_only: true, choose: true, lists: true, remove: true, first_always: false}
    total_vfs:
      description: How many VFs the PF can have.
      type: int
      sample: 7
    hardware_vfs:
      description: How many VFs are enabled in hardware.
      type: int
      sample: 7
    present_vfs:
      description: Ids of the VFs that exist as PCI devices, or C(none).
      type: str
      sample: 0-1,6
    drivers_autoprobe:
      description: Whether drivers are probed for VFs as they are added.
      type: bool
      sample: false
    eswitch_mode:
      description: Mode of the eswitch, null for a PF without one and where it was not read.
      type: str
      sample: legacy
    mtu:
      description: MTU of the network interface in bytes, null for a PF without one and where it was not read.
      type: int
      sample: 1500
    total_msix:
      description: MSI-X vectors that the PF can share out among its VFs, 0 where it cannot and where it was not read.
      type: int
      sample: 0
    vendor:
      description: PCI vendor id.
      type: str
      sample: "0x8086"
    device:
      description: PCI device id.
      type: str
      sample: "0x10c9"
    subsystem_vendor:
      description: PCI vendor id of the subsystem, which is the card.
      type: str
      sample: "0x8086"
    subsystem_device:
      description: PCI device id of the subsystem.
      type: str
      sample: "0xa03c"
    class:
      description: PCI class code.
      type: str
      sample: "0x020000"
    numa_node:
      description: NUMA node, -1 when unknown.
      type: int
      sample: -1
    vfs:
      description:
        - VFs that are present, or that the PF's driver reports properties of.
        - Each has C(id), C(address) and C(present).
        - Present ones have C(driver), C(driver_override), C(iommu_group) and C(netdev), null for none.
        - C(msix_vectors) of present ones is the size of the MSI-X table, C(mtu) that of the VF's own network interface,
          both null for none.
        - C(properties) holds what the PF's driver reports. C(held_by) names who has the VF in use, see
          O(kvmfleet.sriov.sriov_pf#module:force); it is left out for a VF that nobody uses.
      type: list
      elements: dict
      sample:
        - id: 6
          address: "0000:04:11.4"
          present: true
          driver: vfio-pci
          driver_override: vfio-pci
          iommu_group: "12"
          netdev:
          msix_vectors: 3
          mtu:
          properties: {mac: "02:00:00:00:00:06", vlan: 100, qos: 0, spoofchk: true, trust: false, link_state: auto}
          held_by: VM web1, process 4711 (qemu-system-x86)
    blocked:
      description:
        - Only while a write to the PF waits in the kernel, what is written, by which process and for how long.
        - Then there is only this and what the PF is known by (address, interface, driver, ids, class, NUMA node). A
          reader of the other files would wait too.
      type: str
      sample: >-
        process 4711 (state D, in vfio_unregister_group_dev) has been writing '0' to
        /sys/bus/pci/devices/0000:03:00.0/sriov_numvfs for 312 s
kind:
  description: What kind of failure it is.
  returned: failure
  type: str
  sample: BadInputError
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kvmfleet.sriov.plugins.module_utils import _module, _process
from ansible_collections.kvmfleet.sriov.plugins.module_utils._sysfs import Sysfs


def main(sysfs: Sysfs | None = None, run: _process.Run = _process.run) -> None:
    module = AnsibleModule(
        argument_spec={
            "pfs": {"type": "list", "elements": "raw"},
            "properties": {"type": "bool", "default": True},
        },
        supports_check_mode=True,
    )
    _module.finish(module, lambda: _module.info(module, sysfs or Sysfs(), run))


if __name__ == "__main__":
    main()
