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
options:
  pfs:
    description: The PFs to declare. PFs that are not named are left alone.
    type: list
    elements: dict
    required: true
    suboptions:
      pf:
        description:
          - The PF's PCI address, or the name or an alternative name of its network interface.
          - Or a selector, a mapping with one or more of the keys C(vendor), C(device), C(subsystem_vendor) and
            C(subsystem_device) (four hexadecimal digits in quotes), C(class) (two, four or six hexadecimal digits in
            quotes, or V(network), V(ethernet), V(infiniband), V(nvme), V(display), V(coprocessor) or V(accelerator)),
            C(driver), C(numa_node), and C(netdev), the name of the network interface, which may have C(*) and C(?).
          - A selector means one PF. Where several match, C(index) chooses one in the order of their addresses, from 0
            on, or C(all=true) means all of them, each declared alike. No match, and several without one of these keys,
            are errors that list the candidates. A PF must not be declared twice.
        type: raw
        required: true
      hardware_vfs:
        description:
          - How many VFs are enabled in hardware, a number or V(max).
          - Changing a number other than 0 takes all VFs of the PF away for a moment. This is refused while VFs are
            present, unless they are declared away with O(pfs[].present_vfs=none) or it is allowed with
            O(pfs[].allow_disruptive=true).
        type: str
      present_vfs:
        description:
          - Which of the enabled VFs exist as PCI devices. A list of ids such as V(0-99,200), a list, V(all) or V(none).
          - Omitted, the present ones stay, and newly enabled VFs are not added where the kernel can leave them out.
        type: raw
      drivers_autoprobe:
        description: Whether drivers are probed for VFs as they are added.
        type: bool
      # BEGIN GENERATED pf docs of sriov-pf: `make generate` writes it from property_table.py
      eswitch_mode:
        description:
          - Mode of the PF's embedded switch.
          - Set as C(devlink dev eswitch) does. While the mode changes there are no VFs bound to a driver (mlx5_core; it
            enters switchdev mode after VFs are enabled and have their MAC addresses), no VFs enabled (ice, drivers
            without a rule here) or VFs as they are (bnxt_en, nfp, liquidio).
          - Unbinding VFs that stay, or taking them away for a moment, is refused unless it is allowed with
            O(pfs[].allow_disruptive=true). Then they are bound again.
        type: str
        choices: [legacy, switchdev]
      mtu:
        description:
          - MTU of the PF's network interface, in bytes.
          - Some drivers restart the PF for it. It is set before VFs are enabled.
        type: int
      # END GENERATED
      vfs:
        description: What holds for sets of VFs. A property must not be given twice for the same VF.
        type: list
        elements: dict
        suboptions:
          ids:
            description: The VF ids, written as in O(pfs[].present_vfs).
            type: raw
            required: true
          driver:
            description:
              - The driver of those of the VFs that are present, set by C(driver_override), so that no other driver can
                take them in between. Its kernel module is loaded when needed.
              - V(default) clears C(driver_override).
            type: str
          # BEGIN GENERATED vf docs of sriov-pf: `make generate` writes it from property_table.py
          mac:
            description:
              - MAC address, for a single VF.
              - For any number of VFs, an address followed by V(+id), such as V(02:00:00:00:10:00+id). The VF's id is
                added to the last three octets, with carries between them. Ids that do not fit there are an error, so
                that the first three octets always stay.
              - For any number of VFs, V(hash) derives a locally administered address from the permanent MAC address of
                the PF and the VF's id. It is the same at each run, after a reboot, and for the same card in another
                slot. For all PFs of a selector it is the only form.
            type: str
          vlan:
            description: VLAN id from 1 to 4094, 0 for none.
            type: int
          qos:
            description: VLAN priority from 0 to 7. Needs O(pfs[].vfs[].vlan).
            type: int
          vlan_proto:
            description: VLAN protocol. V(802.1ad) needs O(pfs[].vfs[].vlan).
            type: str
            choices: [802.1q, 802.1ad]
          max_tx_rate:
            description: Bandwidth limit in Mbit/s, 0 for none.
            type: int
          min_tx_rate:
            description: Guaranteed bandwidth in Mbit/s, 0 for none.
            type: int
          spoofchk:
            description: Whether the VF may only send with its own MAC address and VLAN.
            type: bool
          trust:
            description: Whether the VF may change its MAC address, become promiscuous and the like.
            type: bool
          query_rss:
            description: Whether the VF may ask for its RSS configuration, its hash key among it.
            type: bool
          link_state:
            description: Link state that the VF sees.
            type: str
            choices: [auto, enable, disable]
          node_guid:
            description:
              - Node GUID of a VF of an InfiniBand PF, for a single VF.
              - Such as V(02:00:00:00:00:00:00:01). Followed by V(+id), it is for any number of VFs, as in
                O(pfs[].vfs[].mac).
            type: str
          port_guid:
            description: Port GUID of a VF of an InfiniBand PF, written as in O(pfs[].vfs[].node_guid).
            type: str
          msix_vectors:
            description:
              - Size of the MSI-X table of those of the VFs that are present.
              - Needs a PF driver that shares vectors out among its VFs (mlx5_core from Linux 5.13, ice later).
              - A VF is unbound while its number changes, and bound to the same driver again where O(pfs[].vfs[].driver)
                names no other. A network interface of its own comes anew then.
            type: int
          mtu:
            description:
              - MTU of the network interface that a present VF has on this host, in bytes.
              - A VF without one is an error, such as a VF that is bound to C(vfio-pci).
            type: int
          # END GENERATED
      allow_disruptive:
        description:
          - As O(allow_disruptive), for this PF. It is part of the host document, so that it also holds when
            C(sriovctl apply) applies that at boot.
        type: bool
  allow_disruptive:
    description:
      - Allow a change that requires disabling all VFs first (C(sriov_numvfs=0)), which takes all present VFs of that PF
        away, those that are to stay for a moment. The refusal without it, and RV(notes) with it, name these VFs.
      - Needed to change the number enabled while VFs are present, and where the kernel's interface cannot remove single
        VFs, or add those that are missing. Elsewhere VFs come and go without it.
      - Needed too where O(pfs[].eswitch_mode) changes while VFs are present that the PF's driver wants away or unbound
        meanwhile. They are bound again afterwards.
      - It does not allow taking away VFs that are in use, see O(force).
    type: bool
    default: false
  force:
    description:
      - Allow taking away VFs that are in use, or unbinding them for a moment.
      - A VF is in use when a process has it open through VFIO, when a libvirt domain has it, running or only defined,
        when its network interface is below another one or in another network namespace, and when its block device is
        mounted, swapped to, open or part of another one. The refusal names the holder. Binding a VF of a domain that is
        only defined to a VFIO driver needs no force.
      - The kernel waits until a process that has a VF open releases it. The task does not wait for ever. It fails
        60 seconds and 2 more for each VF after the kernel has last answered it, and leaves the PF as it is.
    type: bool
    default: false
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
    - What was done (in check mode, what would be done), in order for each PF. Neighbours that differ only in their VFs
      are one entry.
  returned: success
  type: list
  elements: dict
  sample:
    - {pf: "0000:03:00.0", step: enable, before: "0", after: "7"}
    - {pf: "0000:03:00.0", step: add, vfs: "0-1,6", before: absent, after: present}
times:
  description: Each step by itself, with the seconds it took.
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
  returned: success
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
            "pfs": {"type": "list", "elements": "dict", "required": True, "options": sriov_module.PF_OPTIONS},
            **sriov_module.ALLOW_OPTIONS,
        },
        supports_check_mode=True,
    )
    finish(module, lambda: sriov_module.declare(module, sysfs or Sysfs(), run))


if __name__ == "__main__":
    main()
