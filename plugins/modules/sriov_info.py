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
    kernel offers for them, who uses them, and versions of drivers and firmware.
  - A file or program that is not there is no failure. What it would tell is null then, and RV(pfs[].unread) says why
    where that is not plain.
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
      - Whether to read the administrative properties (MAC address, VLAN and so on) of VFs, MTUs, modes of eswitches,
        numbers of MSI-X vectors, alternative names, and versions of drivers and firmware.
      - Without, neither C(ip) nor C(devlink) is asked about them. An alternative name in O(pfs) is looked up by C(ip)
        all the same, and other network namespaces are entered by a process of their own.
    type: bool
    default: true
  vfs:
    description:
      - How much to read and return about VFs.
      - With V(full) every one of them. That is 200 bytes a VF, and 400 where it has properties.
      - With V(summary) only which ids are present, bound and in use. Of each VF less is read.
      - With V(none) only which ids are present. Nothing of a VF is read, and no process or VM is looked at.
    type: str
    choices: [full, summary, none]
    default: full
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

- name: Read which kinds of PFs there are on a host with thousands of VFs
  kvmfleet.sriov.sriov_info:
    vfs: none

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
    altnames:
      description: Alternative names of that interface, null for a PF without one and where they were not read.
      type: list
      elements: str
      sample: [enp3s0f0]
    mac:
      description:
        - The address that the interface came with, whatever it has now. Null for a PF without an interface and where it
          was not read.
      type: str
      sample: "52:54:00:00:00:01"
    driver_version:
      description:
        - Version of that driver; the kernel's release for a network driver without one of its own. Null where none is
          known or was read.
      type: str
      sample: 6.12.0
    firmware_version:
      description:
        - Version of the firmware that runs, as C(devlink dev info), C(ethtool -i) or the NVMe controller has it. Null
          where none is known or was read.
      type: str
      sample: "3.25, 0x800005cf"
    model:
      description: Model of an NVMe controller, null for others and where it was not read.
      type: str
      sample: QEMU NVMe Ctrl
    interface:
      description:
        - The kernel's interface for the VFs of this PF.
        # BEGIN GENERATED kernel interfaces: `make generate` writes it from kernel_interface.py
        - C(vf-id), the interface of this collection's series; any VFs come and go, one by one.
        - C(vf-id-narrow), the interface of an earlier form of the series; VFs come one by one, VF 0 always, and go only
          when all are disabled first.
        - C(stock), the interface of every other kernel; all enabled VFs are present.
        # END GENERATED
      type: str
      sample: vf-id
    unfinished:
      description:
        - Whether a run that changed the PF was killed halfway. What it had taken away for a moment comes back when
          anything is declared for the PF again.
      type: bool
      sample: false
    abilities:
      description: What that interface can do.
      type: dict
      contains:
        enable_only:
          description: Enable VFs in hardware without adding them (C(sriov_numvfs_no_scan)).
          type: bool
          sample: true
        choose:
          description: Add chosen VFs (C(sriov_scan_vf_id)).
          type: bool
          sample: true
        lists:
          description: Add many VFs with one write.
          type: bool
          sample: true
        remove:
          description: Take single VFs away (C(sriov_remove_vf_id)).
          type: bool
          sample: true
        first_always:
          description: VF 0 is added when VFs are enabled, wanted or not.
          type: bool
          sample: false
        one_queue:
          description: A write that waits, for the user of a VF or for a driver, may make those to other PFs wait too.
          type: bool
          sample: false
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
    absent_vfs:
      description: Ids of the VFs that are enabled in hardware and do not exist as PCI devices, or C(none).
      type: str
      sample: 2-5
    unbound_vfs:
      description: Ids of the present VFs without a driver, or C(none). Left out with O(vfs=none).
      type: str
      sample: none
    held_vfs:
      description: Ids of the VFs that somebody uses, or C(none). Left out with O(vfs=none).
      type: str
      sample: "6"
    vf_drivers:
      description: How many present VFs each driver has. Left out with O(vfs=none).
      type: dict
      sample: {vfio-pci: 3}
    vf_offset:
      description: First VF Offset, from the PF's routing id to that of VF 0. Holds for the number of VFs enabled now.
      type: int
      sample: 384
    vf_stride:
      description: VF Stride, from one VF's routing id to the next one's. Holds for the number of VFs enabled now.
      type: int
      sample: 2
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
    link:
      description: Whether the network interface is set up, C(up) or C(down), null for a PF without one.
      type: str
      sample: up
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
    class_name:
      description: The name of that class in selectors, null for others.
      type: str
      sample: ethernet
    numa_node:
      description: NUMA node, -1 when unknown.
      type: int
      sample: -1
    iommu_group:
      description: IOMMU group, null without an IOMMU.
      type: str
      sample: "12"
    iommu_type:
      description: Type of the default domain of that group, such as C(DMA), C(DMA-FQ) or C(identity).
      type: str
      sample: DMA
    pcie_speed:
      description: Speed of the PCIe link as it is now, null where there is none.
      type: str
      sample: 8.0 GT/s PCIe
    pcie_width:
      description: Lanes of the PCIe link as it is now.
      type: int
      sample: 8
    speed:
      description: Speed of the network link in Mbit/s, null without one and while it is down.
      type: int
      sample: 10000
    unread:
      description:
        - What could not be read, and why, as texts. Empty when all is known.
        - That a PF has no eswitch, no network interface or no known firmware is not among it.
      type: list
      elements: str
      sample:
        - >-
          eswitch_mode: 'devlink -j dev eswitch show pci/0000:03:00.0' ended with status 127: cannot run it: No such
          file or directory
    vfs:
      description: VFs that are present, or that the PF's driver reports properties of. Only with O(vfs=full).
      type: list
      elements: dict
      contains:
        id:
          description: Id of the VF.
          type: int
          sample: 6
        address:
          description: PCI address, also of a VF that is not present.
          type: str
          sample: "0000:04:11.4"
        present:
          description: Whether it exists as a PCI device.
          type: bool
          sample: true
        driver:
          description:
            - Driver that it is bound to, null for none.
            - Of present VFs alone, as all that follows but RV(pfs[].vfs[].properties).
          type: str
          sample: vfio-pci
        driver_override:
          description: The only driver that may take it, null for none.
          type: str
          sample: vfio-pci
        iommu_group:
          description: IOMMU group, null without an IOMMU.
          type: str
          sample: "12"
        netdev:
          description: Name of its own network interface, null for none.
          type: str
          sample: eth5
        netdev_mac:
          description: MAC address of that interface, null for none.
          type: str
          sample: "52:54:00:12:34:56"
        netdev_mac_origin:
          description:
            - Who has chosen that address, V(permanent), V(random), V(stolen) or V(set), as the kernel counts them, null
              for none.
            - A V(random) one was made up by the VF's driver, and is another one at each boot.
          type: str
          sample: random
        numa_node:
          description: NUMA node, -1 when unknown.
          type: int
          sample: -1
        msix_vectors:
          description: Size of the MSI-X table, null for none. Left out with O(properties=false).
          type: int
          sample: 3
        mtu:
          description: MTU of its own network interface, null for none. Left out with O(properties=false).
          type: int
          sample: 1500
        properties:
          description:
            - What the PF's driver reports of it, present or not.
            - Left out where it reports nothing, and with O(properties=false).
          type: dict
          sample: {mac: "02:00:00:00:00:06", vlan: 100, qos: 0, spoofchk: true, trust: false, link_state: auto}
        held_by:
          description:
            - Who has it in use, see O(kvmfleet.sriov.sriov_pf#module:force). Left out for a VF that nobody uses.
          type: str
          sample: VM web1, process 4711 (qemu-system-x86)
    unreadable:
      description:
        - Only where a file of the PF, or of one of its VFs, cannot be read, which one and why. Then there is only this
          and what the PF is known by, as far as that can be read.
      type: str
      sample: /sys/bus/pci/devices/0000:03:00.0/sriov_numvfs holds '', which is not a number
    blocked:
      description:
        - Only while a process that may have to wait writes to the PF, what is written, by which process and for how
          long.
        - Then there is only this and what the PF is known by (address, interface, driver, ids, class, NUMA node). A
          reader of the other files would wait too.
      type: str
      sample: >-
        process 4711 (state D, in vfio_unregister_group_dev) has been writing '0' to
        /sys/bus/pci/devices/0000:03:00.0/sriov_numvfs for 312 s
kernel:
  description: The running kernel.
  returned: success
  type: dict
  contains:
    release:
      description: Its release, as C(uname -r) prints it.
      type: str
      sample: 6.12.117-kvmfleet
    pci:
      description: The options about SR-IOV in C(pci=) that it was started with, whether it knows them or not.
      type: list
      elements: str
      sample: [sriov_keep_vfs]
lacks:
  description:
    - What the host lacks for VFs or for VFs in VMs, each with what to do. No PF at all, PFs without VFs or a driver,
      without an IOMMU, or with an IOMMU group that VFs share.
    - Empty where nothing is missing that can be seen. VFs' groups are looked at with O(vfs=full).
  returned: success
  type: list
  elements: str
  sample:
    - >-
      PF 0000:03:00.0: the device offers no VFs (sriov_totalvfs is 0): set their number in its firmware, such as
      mlxconfig SRIOV_EN and NUM_OF_VFS, or the adapter's page in UEFI setup
kind:
  description: What kind of failure it is.
  returned: failure
  type: str
  sample: BadInputError
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import info_module
from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible.module import finish
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs


def main(sysfs: Sysfs | None = None, run: process.Run = process.run) -> None:
    module = AnsibleModule(
        argument_spec={
            "pfs": {"type": "list", "elements": "raw"},
            "properties": {"type": "bool", "default": True},
            "vfs": {"type": "str", "choices": ["full", "summary", "none"], "default": "full"},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: info_module.info(module, sysfs or Sysfs(), run))


if __name__ == "__main__":
    main()
