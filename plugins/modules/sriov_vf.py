#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: sriov_vf
short_description: Add or remove single VFs of a host, and set what they have
version_added: 0.1.0
description:
  - Makes the named virtual functions (VFs) of a physical function (PF) present or absent as PCI devices, and sets the
    driver, the administrative properties, MSI-X vectors and MTU of those that are to be present.
  - All other VFs are left as they are, unlike with M(kvmfleet.sriov.sriov_pf), which declares a whole PF.
  - How many VFs are enabled in hardware is not changed. VFs that are to be present must be enabled, see
    O(kvmfleet.sriov.sriov_pf#module:pfs[].hardware_vfs).
  - The kernel's interface for the VFs of a PF is one of the following. Disabling all VFs needs O(allow_disruptive).
    Where a VF cannot be left out, it is present all the same, and RV(notes) and RV(present_vfs) say so.
  # BEGIN GENERATED kernel interfaces: `make generate` writes it from kernel_interface.py
  - C(vf-id), the interface of this collection's series; any VFs come and go, one by one.
  - C(vf-id-narrow), the interface of an earlier form of the series; VFs come one by one, VF 0 always, and go only when
    all are disabled first.
  - C(stock), the interface of every other kernel; all enabled VFs are present.
  # END GENERATED
  - What is changed here is not part of the host document that the role P(kvmfleet.sriov.sriov#role) writes. The next
    boot brings back what is declared there.
author:
  - The kvmfleet.sriov contributors (@kvmfleet)
extends_documentation_fragment:
  - kvmfleet.sriov._attributes
  - kvmfleet.sriov._attributes.declare
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
requirements:
  - Python 3.9 or newer on the managed host
  - C(ip) and C(devlink) of iproute2 on the managed host, for administrative properties of VFs
options:
  pf:
    description: The PF, named or selected as in O(kvmfleet.sriov.sriov_pf#module:pfs[].pf).
    type: raw
    required: true
  ids:
    description: The VF ids. A list of ids such as V(0-99,200), a list, or V(all) of those that are enabled.
    type: raw
    required: true
  state:
    description:
      - Whether these VFs exist as PCI devices.
      - VFs that are not enabled count as V(absent). With V(absent), nothing else can be declared for the VFs.
    type: str
    choices: [present, absent]
    default: present
  driver:
    description:
      - The driver of these VFs, set by C(driver_override), so that no other driver can take them in between. Its kernel
        module is loaded when needed.
      - V(default) clears C(driver_override).
      - V(unbound) has no driver bound. While C(sriov_drivers_autoprobe) is on, C(driver_override) is C(none) then, with
        which the kernel lets VFs opt out of drivers that are loaded later.
    type: str
  # BEGIN GENERATED vf docs of sriov-vf: `make generate` writes it from property_table.py
  mac:
    description:
      - MAC address, for a single VF.
      - For any number of VFs, an address followed by V(+id), such as V(02:00:00:00:10:00+id). The VF's id is added to
        the last three octets, with carries between them. Ids that do not fit there are an error, so that the first
        three octets always stay.
      - For any number of VFs, V(hash) derives a locally administered address from the permanent MAC address of the PF
        and the VF's id. It is the same at each run, after a reboot, and for the same card in another slot. For all PFs
        of a selector it is the only form.
    type: str
  vlan:
    description:
      - VLAN id from 1 to 4094, 0 for none.
      - For any number of VFs, a base followed by V(+id), such as V(100+id), to which the VF's id is added.
    type: str
  qos:
    description: VLAN priority from 0 to 7. Needs O(vlan).
    type: int
  vlan_proto:
    description: VLAN protocol. V(802.1ad) needs O(vlan).
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
      - Such as V(02:00:00:00:00:00:00:01). Followed by V(+id), it is for any number of VFs, as in O(mac).
    type: str
  port_guid:
    description: Port GUID of a VF of an InfiniBand PF, written as in O(node_guid).
    type: str
  msix_vectors:
    description:
      - Size of the MSI-X table of those of the VFs that are present.
      - Needs a PF driver that shares vectors out among its VFs (mlx5_core from Linux 5.13, ice later).
      - A VF is unbound while its number changes, and bound to the same driver again where O(driver) names no other. A
        network interface of its own comes anew then.
    type: int
  mtu:
    description:
      - MTU of the network interface that a present VF has on this host, in bytes.
      - A VF without one is an error, such as a VF that is bound to C(vfio-pci).
    type: int
  name:
    description:
      - Name of the network interface that a present VF has on this host, for a single VF.
      - For any number of VFs, a beginning followed by V(+id), such as V(web+id) for C(web0), C(web1) and so on.
      - It comes after the name that udev gives a new interface. Before Linux 6.2 only interfaces that are down take
        another name. A VF without an interface is an error, as with O(mtu).
    type: str
  # END GENERATED
  allow_disruptive:
    description:
      - Allow a change that requires disabling all VFs first (C(sriov_numvfs=0)), which takes all present VFs of the PF
        away, those that are to stay for a moment. The refusal without it, and RV(notes) with it, name these VFs.
      - Needed where the kernel's interface cannot remove single VFs, or add those that are missing.
      - It does not allow taking away VFs that are in use, see O(force).
    type: bool
    default: false
  force:
    description:
      - Allow taking away VFs that are in use, see O(kvmfleet.sriov.sriov_pf#module:force) for what counts as that. The
        refusal names the holder.
      - The kernel waits until a process that has a VF open releases it. The task does not wait for ever. It fails
        60 seconds and 2 more for each VF after the kernel has last answered it, and leaves the PF as it is.
    type: bool
    default: false
  detail:
    description:
      - How VFs are shown in RV(steps), RV(times) and the diff. With V(summary), by ranges of VF ids. Values that are
        one base plus the VF's id are one, up to eight different ones are all given, and of more, their number, the
        first and the last.
      - With V(full), VF by VF.
    type: str
    choices: [summary, full]
    default: summary
seealso:
  - module: kvmfleet.sriov.sriov_pf
  - module: kvmfleet.sriov.sriov_info
"""

EXAMPLES = r"""
- name: Add a VF for a new virtual machine
  kvmfleet.sriov.sriov_vf:
    pf: eth0
    ids: 6
    driver: vfio-pci
    mac: "02:00:00:00:00:06"
    vlan: 100

- name: More MSI-X vectors for the VF of a large guest
  kvmfleet.sriov.sriov_vf:
    pf: "0000:05:00.0"
    ids: 0
    driver: vfio-pci
    mac: hash
    msix_vectors: 32

- name: Take VFs away again that nobody needs
  kvmfleet.sriov.sriov_vf:
    pf: eth0
    ids: 3-6
    state: absent

- name: Add the first two VFs of every NVMe device
  kvmfleet.sriov.sriov_vf:
    pf: {class: nvme, all: true}
    ids: 0-1
"""

RETURN = r"""
present_vfs:
  description:
    - The VFs that are present afterwards, those of others too, by the PF's address. In check mode, that would be.
  returned: success
  type: dict
  sample: {"0000:03:00.0": "0-1,6"}
steps:
  description:
    - What was done (in check mode, what would be done), in order for each PF. Neighbours of one kind are few entries,
      see O(detail).
  returned: success
  type: list
  elements: dict
  sample:
    - {pf: "0000:03:00.0", step: properties, vfs: "6", before: vlan 0, after: vlan 100}
    - {pf: "0000:03:00.0", step: add, vfs: "6", before: absent, after: present}
times:
  description: The steps with the seconds that they took.
  returned: success, not in check mode
  type: list
  elements: dict
  sample:
    - {pf: "0000:03:00.0", step: add, vfs: "6", before: absent, after: present, seconds: 0.0021}
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
    - "PF 0000:03:00.0: the kernel's interface 'stock' cannot leave VFs 6 out: present are 0-6 instead of 0-5"
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

from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import sriov_module, vf_module
from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible.checked_module import CheckedModule
from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible.module import finish
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs


def main(sysfs: Sysfs | None = None, run: process.Run = process.run) -> None:
    module = CheckedModule(
        check=vf_module.validated,
        argument_spec={
            "pf": {"type": "raw", "required": True},
            "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
            **sriov_module.VF_OPTIONS,
            **sriov_module.ALLOW_OPTIONS,
            "detail": sriov_module.DETAIL_OPTION,
        },
        supports_check_mode=True,
    )
    finish(module, lambda: vf_module.change(module, sysfs or Sysfs(), run))


if __name__ == "__main__":
    main()
