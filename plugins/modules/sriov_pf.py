#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sriov_pf
short_description: Declare the SR-IOV state of a host's physical functions
version_added: 0.1.0
description:
  - Brings any number of SR-IOV physical functions (PFs) to a declared state, all in one task and side by side.
  - The state is the number of virtual functions (VFs) enabled in hardware, which of them exist as PCI devices, their
    drivers and their administrative properties.
  - What is omitted keeps its current state.
  - All input is checked against the host before anything is written. A PF at which something fails is taken back to
    its previous state. Success is reported only after a fresh reading. After a run that was killed, the same task
    converges.
  - One run at a time changes a PF. Another one waits for it for at most 60 seconds.
  - The kernel's interface for the VFs of a PF is recognised by its files. It is one of the following. Where it cannot
    leave VFs out that are not wanted, they are present all the same, and RV(notes) says so.
  # BEGIN GENERATED kernel interfaces: `make generate` writes it from kernel_interface.py
  - C(vf-id), the interface of this collection's series; any VFs come and go, one by one.
  - C(vf-id-narrow), the interface of an earlier form of the series; VFs come one by one, VF 0 always, and go only when
    all are disabled first.
  - C(stock), the interface of every other kernel; all enabled VFs are present.
  # END GENERATED
  - A VF that is present before and after does not go away in between, unless O(allow_disruptive=true).
author:
  - The kvmfleet.sriov contributors (@kvmfleet)
extends_documentation_fragment:
  - kvmfleet.sriov._attributes
  - kvmfleet.sriov._attributes.declare
  - kvmfleet.sriov._declared_pfs
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - Python 3.9 or newer on the managed host
  - C(ip) and C(devlink) of iproute2 on the managed host, for administrative properties of VFs and the eswitch
seealso:
  - module: kvmfleet.sriov.sriov_vf
  - module: kvmfleet.sriov.sriov_info
"""

EXAMPLES = r"""
- name: Enable all VFs, add the ones that virtual machines use, bind them to vfio-pci
  kvmfleet.sriov.sriov_pf:
    pfs:
      - pf: "0000:03:00.0"
        hardware_vfs: max
        present_vfs: 0-1,6
        drivers_autoprobe: false
        vfs:
          - ids: all
            driver: vfio-pci
          - ids: 6
            mac: "02:00:00:00:00:06"
            vlan: 100
            spoofchk: true
            trust: false

- name: Enable VFs of devices without a network interface, add none yet
  kvmfleet.sriov.sriov_pf:
    pfs:
      - pf: "0000:04:00.0"
        hardware_vfs: 8
        present_vfs: none

- name: Declare all ports of one kind alike, and the first NVMe device
  kvmfleet.sriov.sriov_pf:
    pfs:
      - pf: {vendor: "8086", device: "10c9", all: true}
        hardware_vfs: max
        present_vfs: none
      - pf: {class: nvme, index: 0}
        hardware_vfs: 4
        present_vfs: 0-3

- name: Addresses for all VFs, each with its own, and jumbo frames
  kvmfleet.sriov.sriov_pf:
    pfs:
      - pf: eth0
        hardware_vfs: 7
        mtu: 9000
        vfs:
          - ids: all
            mac: "02:00:00:00:10:00+id"

- name: A switchdev host for OVS, with more MSI-X vectors for two of its VFs
  kvmfleet.sriov.sriov_pf:
    pfs:
      - pf: "0000:05:00.0"
        hardware_vfs: 8
        present_vfs: all
        drivers_autoprobe: false
        eswitch_mode: switchdev
        vfs:
          - ids: all
            driver: vfio-pci
            mac: hash
          - ids: 0-1
            msix_vectors: 32

- name: GUIDs for the VFs of an InfiniBand PF
  kvmfleet.sriov.sriov_pf:
    pfs:
      - pf: ib0
        hardware_vfs: 4
        vfs:
          - ids: all
            node_guid: "02:00:00:00:00:00:10:00+id"
            port_guid: "02:00:00:00:00:00:20:00+id"

- name: Turn SR-IOV off
  kvmfleet.sriov.sriov_pf:
    pfs:
      - pf: eth0
        hardware_vfs: 0
        present_vfs: none
"""

RETURN = r"""
steps:
  description:
    - What was done (in check mode, what would be done), in order for each PF. Neighbours of one kind are few entries,
      see O(detail).
  returned: success
  type: list
  elements: dict
  sample:
    - {pf: "0000:03:00.0", step: enable, before: "0", after: "7"}
    - {pf: "0000:03:00.0", step: add, vfs: "0-1,6", before: absent, after: present}
times:
  description: The steps with the seconds that they took.
  returned: success, not in check mode
  type: list
  elements: dict
  sample:
    - {pf: "0000:03:00.0", step: enable, before: "0", after: "7", seconds: 0.1041}
seconds:
  description: How long all steps and the reading after them took.
  returned: success, not in check mode
  type: float
  sample: 0.18
notes:
  description:
    - Where the kernel's interface gives less than was declared, and what other programs may stumble over.
    - Those that ask for an action are warnings as well.
  returned: success
  type: list
  elements: str
  sample:
    - "PF 0000:03:00.0: the kernel's interface 'stock' cannot leave VFs 2-5 out: present are 0-6 instead of 0-1,6"
document:
  description: What was declared, as the host document that C(sriovctl apply) takes.
  returned: with O(detail=full)
  type: dict
  sample: {pfs: [{pf: "0000:03:00.0", hardware_vfs: max, present_vfs: "0-1,6"}]}
kind:
  description:
    - What kind of failure it is. V(BadInputError), V(RefusedError) and V(BusyError) (another run has the PF) come
      before anything is written, V(ApplyError) after the PFs that failed were taken back, except where the kernel has
      blocked a write.
  returned: failure
  type: str
  sample: BadInputError
failed_pfs:
  description: The reason of each PF that failed, by address.
  returned: failure
  type: dict
  sample: {}
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import sriov_module
from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible.module import finish
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs


def main(sysfs: Sysfs | None = None, run: process.Run = process.run) -> None:
    module = AnsibleModule(
        argument_spec={
            "pfs": sriov_module.PFS_OPTION,
            **sriov_module.ALLOW_OPTIONS,
            "detail": sriov_module.DETAIL_OPTION,
        },
        supports_check_mode=True,
    )
    finish(module, lambda: sriov_module.declare(module, sysfs or Sysfs(), run))


if __name__ == "__main__":
    main()
