# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of a live update's request (`_ansible/live_update_module`, `REQUEST_OPTIONS`)."""

from __future__ import annotations


class ModuleDocFragment:
    """All but the kernel, which each module says its own thing about."""

    DOCUMENTATION = r"""
options:
  initrd:
    description:
      - Path of the initial RAM file system, V(none), or V(auto) for C(/boot/initrd.img-RELEASE) where that exists.
    type: str
    default: auto
  command_line:
    description: Words to add to the new kernel's command line, which else is that of the running one.
    type: str
    default: ""
  budget_s:
    description: The longest outage of a VM in seconds that is acceptable. An estimate above it is refused.
    type: float
    default: 60.0
  host:
    description: A name for this host in the manifest and the report, usually C(inventory_hostname).
    type: str
    default: ""
  owner:
    description:
      - Who reserves the host, from arming until the update is forgotten. Another owner is refused meanwhile, for
        C(reserve_s) of O(options) at most.
    type: str
    default: ""
  take_over:
    description: Act on a host that another owner has reserved.
    type: bool
    default: false
  vms:
    description:
      - What to know about VMs that cannot be read from them. VMs that are not listed are updated, too.
      - A name that no running VM has is an error.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: The guest's name, as given to QEMU with C(-name).
        type: str
        required: true
      priority:
        description: VMs with a higher number get their VFs, and come back, earlier.
        type: int
        default: 0
      strategy:
        description:
          - What the update does with the VM.
          - V(in-place) saves it and restores it with its memory.
          - V(shutdown) asks the guest to shut down once all other VMs have released their VFs, before any of them
            is stopped. It is started from its disk, with its VFs, by the new kernel. What only hinders a save is no
            reason against that, and C(cold_start) is implied. When the guest is not down within C(shutdown_s), the
            update is aborted, and VMs that were shut down by then are started again.
          - V(migrate) moves it to another host before the update is armed, with C(state=moved) of
            M(kvmfleet.sriov.live_update). It is none of the update's VMs, and nothing here starts it afterwards. A host
            on which it still runs is not armed.
          - V(leave) refuses the host for as long as the VM runs there. Nothing of it is touched.
        type: str
        choices: [in-place, migrate, shutdown, leave]
        default: in-place
      to:
        description:
          - Name or address of the host that a VM with O(vms[].strategy=migrate) goes to. It is the last argument of
            C(move_away) in O(options). Without that, libvirt moves its domain to C(qemu+ssh://TO/system).
        type: str
      cold_start:
        description: Whether the VM may be started from its disk when its memory was lost.
        type: bool
        default: false
      straggler:
        description:
          - What happens when the guest does not release its VFs within C(unplug_s). No VM has been stopped by then.
          - V(leave) aborts the update of this host; all VMs run on with their VFs.
          - V(shutdown) asks the guest to power down, and starts it from its disk afterwards. It needs
            C(cold_start=true). When the guest is not down within C(shutdown_s), it is as with V(leave).
        type: str
        choices: [leave, shutdown]
        default: leave
      on_other_kernel:
        description:
          - What the host does by itself with this VM, saved, when it finds itself on another kernel than the one that
            was meant, as after a panic of that one or a power cut.
          - V(restore) loads its memory, V(cold-start) starts it from its disk and gives its memory up, V(leave) starts
            nothing. C(sriovctl live-update restore) on the host restores it in any case.
          - V(cold-start) needs C(cold_start=true). The memory is given up only when the VM's VFs are there again and
            C(confirm_not_elsewhere) has agreed.
        type: str
        choices: [restore, cold-start, leave]
        default: restore
      dry_start:
        description:
          - Whether the QEMU of the VM's restore is started once beside the running VM, without anything of its own, in
            the preflight and when the update is armed. It ends before it has loaded or written anything.
          - V(false) is for a VM whose dry start fails although its restore works.
        type: bool
        default: true
      heartbeat:
        description: Where the guest logs its heartbeat. Only the report uses it.
        type: dict
      check:
        description:
          - How the VFs of the VM are seen to work when it is back, by one of C(agent), C(arp), C(command) and C(ping).
          - Those of the host are done by the host itself, and their times are in the result. C(command), and a ping
            from the controller, concern M(kvmfleet.sriov.live_update_verify) alone.
        type: dict
        suboptions:
          agent:
            description:
              - The guest agent, to which QEMU serves a socket, reports for each VF an interface with its MAC address,
                with an IP address that is not link-local, and with a counter of received packets that grows.
            type: bool
          arp:
            description:
              - An IPv4 address. Who has it is asked by ARP at O(vms[].check.interface). The answer must come from a MAC
                address of the VM's VFs, where they have one.
            type: str
          interface:
            description: Network interface of the host in the VF's network, for O(vms[].check.arp).
            type: str
          ping:
            description: An IP address of the guest that answers a ping.
            type: str
          from:
            description: Where O(vms[].check.ping) comes from, V(controller) by default.
            type: str
            choices: [controller, host]
          command:
            description: Program with arguments on the controller, which succeeds when the VFs work. There is no shell.
            type: list
            elements: str
          within_s:
            description: Seconds from the VM's return, or for the controller from the update's end, 60 by default.
            type: float
  options:
    description:
      - Deadlines in seconds. C(unplug_s), C(shutdown_s), C(copy_s), C(migrate_s), C(start_s), C(answer_s) and
        C(drivers_s). Memory is copied for C(copy_s) at most while the guests run, then they are stopped.
      - C(whole_hash), whether all of a saved state is read again to compare it, not its header and samples. It takes as
        long as writing the state, twice, with the guest stopped.
      - What the estimate assumes. C(boot_s), seconds from the kexec to the resume unit, and C(rate_mib_s), disk
        speed. Without them what M(kvmfleet.sriov.live_update_rehearsal) has measured on the host counts, else a
        default.
      - What is allowed. C(allow_writers), files that write C(sriov_numvfs) but are ordered after the update, and
        C(allow_missing_modules), modules the new kernel may lack.
      - C(host_services), units of services that have KVM, VFIO or vDPA devices open and are no VMs, like those of DPDK,
        SPDK or Open vSwitch. Every other such process must be a VM that is saved, or the host is not updated. Those
        that are active are started before VMs, as are other units named here, and awaited for C(start_s).
      - C(interface), the new kernel's SR-IOV interface where V(auto) cannot tell, by its name in
        RV(kvmfleet.sriov.sriov_info#module:pfs[].interface).
      - C(reserve_s), seconds until others may take the host over.
      - C(wait_s), seconds that the controller waits for the host, which the role sets. A host is refused where one VM
        may take longer by its deadlines, and there is a warning where all VMs may.
      - C(restore_at_once), how many VMs read their states from the disk at the same time, those of higher priority
        first; as many as the host has CPUs by default, from 2 to 8.
      - C(fill_chunk) and C(fill_pause_s), how fast the remaining VFs are added.
      - C(orderly), whether systemd stops all units before the kexec.
      - C(confirm_not_elsewhere), a program with arguments that gets a VM's name and fails when the VM must not start
        here. Needed by VMs with images on shared storage or on a network, which are refused without it. For a VM of an
        update without it, C(sriovctl live-update restore VM --confirm-not-elsewhere) is typed in its place.
      - C(move_away), a program with arguments that gets the name of a VM whose strategy is V(migrate), and where it
        goes if that was said, and returns once the VM has left this host. It runs as root on the host, with the VM's
        VFs unplugged. When it fails, or takes longer than C(move_away_s) (1800), or the VM's process is there 5 s
        later, the VM gets its VFs again.
      - C(allow_passphrase), encrypted volumes at whose boot somebody is there to open them. Any other at which the new
        kernel would wait for a person is refused.
      - C(panic), V(warn) (the default) or V(refuse) when the new kernel's command line would leave the host hanging
        after a panic.
      - C(boot_default), V(refuse) (the default) or V(warn) when what the boot loader starts after a failure of the new
        kernel is not known, was never seen to boot through the firmware, lacks a file, or waits for a person.
      - C(rollback), V(report) (the default), V(now) or V(window), what the role does with a host whose checks fail. But
        for V(report) a host is refused whose running kernel is not in C(/boot) any more.
      - C(watchdog), whether a watchdog of the hardware guards the jump. V(auto) (the default) arms one that the new
        kernel can feed, V(require) refuses a host without one, V(off) arms none. One that systemd or another program
        has open is left to it. C(watchdog_boots), its shortest timeout in boots of C(boot_s), 3 by default.
      - C(vm_commands), programs of managers that keep the memory of VMs themselves, one object for each manager.
        C(pid_file) is the path of a VM's pid file, with C({name}) in the file's name, by which the VM is called.
        C(save), C(saved), C(restore) and C(discard) are lists, a program's whole path and its arguments; C(saved) ends
        with 0 while a complete state is kept, with 1 while there is none. C(release) and C(attach) unplug and plug
        C({vf}), a VF by its PCI address. C(shutdown) and C(start) are for VMs that are not saved. There is no shell.
      - C(restore_within), the age in seconds up to which a saved VM is started without C(confirm_not_elsewhere).
      - C(hold_s), how many seconds from arming on the HA manager of the host starts none of its VMs elsewhere; C(0)
        (the default) when nobody would. A start that could outlast it is not begun, and after it, or after
        C(sriovctl live-update abandon), nothing is started unless C(confirm_not_elsewhere) agrees.
    type: dict
    default: {}
"""
