# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of `sriov_pf` (`_ansible/sriov_module`).

Here they are not sent to hosts with the module.
"""

from __future__ import annotations


class ModuleDocFragment:
    """What is declared of PFs, and what is allowed."""

    DOCUMENTATION = r"""
options:
  pfs:
    description:
      - The PFs to declare, each a mapping. PFs that are not named are left alone.
      - All mistakes are named at once, each with its place in the list.
    type: list
    elements: raw
    required: true
    suboptions:
      pf:
        description:
          - The PF's PCI address, or the name or an alternative name of its network interface.
          - Or a selector, a mapping with one or more of the keys C(vendor), C(device), C(subsystem_vendor) and
            C(subsystem_device) (four hexadecimal digits in quotes), C(class) (two, four or six hexadecimal digits in
            quotes, or V(network), V(ethernet), V(infiniband), V(nvme), V(display), V(coprocessor) or V(accelerator)),
            C(driver), C(numa_node), C(mac), the MAC address of the network interface, and C(netdev), its name, which
            may have C(*) and C(?).
          - PFs with the facts under C(not), a mapping with such keys or a list of them, are left out. While it is not
            known whether a PF will have them, it is left out too.
          - A selector means one PF. Where several match, C(index) chooses one in the order of their addresses, from 0
            on, or C(all=true) means all of them, each declared alike. No match, and several without one of these keys,
            are errors that list the candidates. A PF must not be declared twice.
        type: raw
        required: true
      hardware_vfs:
        description:
          - "How many VFs are enabled in hardware, a number or V(max), or C({at_most: NUMBER}) for so many, or for all
            where the PF has fewer."
          - Changing a number other than 0 takes all VFs of the PF away for a moment. This is refused while VFs are
            present, unless they are declared away with O(pfs[].present_vfs=none) or it is allowed with
            O(pfs[].allow_disruptive=true).
        type: raw
      present_vfs:
        description:
          - Which of the enabled VFs exist as PCI devices. A list of ids such as V(0-99,200), a list, V(all), V(none) or
            V(unmanaged).
          - V(unmanaged) leaves that to somebody else, such as M(kvmfleet.sriov.sriov_vf). Present VFs stay, and none is
            added where the kernel can leave it out.
          - Omitted, the present ones stay. Where O(pfs[].hardware_vfs) changes their number, all are present, on each
            kernel interface.
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
      link:
        description:
          - Whether the PF's network interface is up, as C(ip link set) has it.
          - Where a driver needs the interface up to enable VFs (bnxt_en) or to set some of their properties (rates, of
            igb, ixgbe, be2net and bnxt_en), it is set up for that moment, declared or not. VFs in use need it up for
            longer, and somebody has to set it up, this setting or the host's network configuration.
        type: str
        choices: [up, down]
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
              - V(unbound) has no driver bound. While C(sriov_drivers_autoprobe) is on, C(driver_override) is C(none)
                then, with which the kernel lets VFs opt out of drivers that are loaded later.
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
            description:
              - VLAN id from 1 to 4094, 0 for none.
              - For any number of VFs, a base followed by V(+id), such as V(100+id), to which the VF's id is added.
            type: str
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
          name:
            description:
              - Name of the network interface that a present VF has on this host, for a single VF.
              - For any number of VFs, a beginning followed by V(+id), such as V(web+id) for C(web0), C(web1) and so on.
              - It comes after the name that udev gives a new interface. Before Linux 6.2 only interfaces that are down
                take another name. A VF without an interface is an error, as with O(pfs[].vfs[].mtu).
            type: str
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
      - A VF is in use when a process has a device file of it open, whatever its driver offers, when a libvirt domain
        has it, running or only defined, when its network interface is below another one or in another network
        namespace, has an address of the host that is not link-local or a route over it, and when its block device is
        mounted, swapped to, open or part of another one. The refusal names the holder. Binding a VF of a domain that
        is only defined to a VFIO driver needs no force.
      - The kernel waits until a process that has a VF open releases it. The task does not wait for ever. It fails
        60 seconds and 2 more for each VF after the kernel has last answered it, and leaves the PF as it is.
    type: bool
    default: false
  detail:
    description:
      - How VFs are shown in RV(steps), RV(times) and the diff. With V(summary), by ranges of VF ids. Values that are
        one base plus the VF's id are one, up to eight different ones are all given, and of more, their number, the
        first and the last.
      - With V(full), VF by VF, and the result has RV(document).
    type: str
    choices: [summary, full]
    default: summary
"""
