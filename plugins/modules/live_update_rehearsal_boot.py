#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: live_update_rehearsal_boot
short_description: Rehearse a live update of a hypervisor with throw-away VMs
version_added: 0.1.0
description:
  - On a host without VMs, starts throw-away VMs and a real live update with them. Each fills its memory with a pattern
    of its own, page by page. They are saved, the host jumps into the kernel, they come back, and all of their memory
    is read again and compared (sha256). An NMI shows that their guests run on.
  - The time from the kexec to the resume unit is kept on the host, beside the speed of the disk that
    M(kvmfleet.sriov.live_update_rehearsal) measures, which is measured here too. Estimates and deadlines of later live
    updates into that kernel rest on it, that of a watchdog among them.
  - Everything that a live update refuses is refused here, too. A host on which a VM runs is refused with its name.
  - Nothing of it stays. What an interrupted rehearsal has left is removed by the next one, or with O(state=absent).
  - The guests stand still after they have filled their memory. What a guest writes while its memory is copied is not
    rehearsed, nor are VFs of VMs, as throw-away VMs have none.
author:
  - The kvmfleet.sriov contributors (@kvmfleet)
extends_documentation_fragment:
  - kvmfleet.sriov._attributes
  - kvmfleet.sriov._attributes.live_update
attributes:
  check_mode:
    support: full
    details: With O(state=started) all that speaks against it is looked for.
  diff_mode:
    support: full
  idempotent:
    support: partial
    details: With O(state=started) it begins anew, unless one is under way.
requirements:
  - Python 3.9 or newer, systemd, and QEMU 8.2 or newer for x86_64 on the managed host
options:
  state:
    description:
      - V(started) starts VMs and update, and returns before the host jumps. M(kvmfleet.sriov.live_update_wait) waits
        for the end.
      - V(finished) compares, ends the VMs, forgets the update and keeps what was measured. It fails, with nothing kept,
        when anything was not as it should be.
      - V(absent) removes all that a rehearsal has left. Refused while its update is at work.
    type: str
    choices: [started, finished, absent]
    default: started
  kernel:
    description: Release of the kernel to jump into, as in M(kvmfleet.sriov.live_update). The running one by default.
    type: str
  count:
    description: Number of throw-away VMs, 1 to 100.
    type: int
    default: 3
  vm_mib:
    description: Their memory in MiB, 16 to 2047; the sizes are used in turn.
    type: list
    elements: int
    default: [64, 256, 1024]
  size_mib:
    description: MiB that are written to the disk and read, as in M(kvmfleet.sriov.live_update_rehearsal).
    type: int
    default: 1024
  accelerator:
    description: Accelerator of QEMU for the throw-away VMs. V(auto) is V(kvm) where there is C(/dev/kvm), else V(tcg).
    type: str
    choices: [auto, kvm, tcg]
    default: auto
  initrd:
    description: As in M(kvmfleet.sriov.live_update).
    type: str
    default: auto
  command_line:
    description: As in M(kvmfleet.sriov.live_update).
    type: str
    default: ""
  budget_s:
    description: As in M(kvmfleet.sriov.live_update).
    type: float
    default: 60.0
  host:
    description: As in M(kvmfleet.sriov.live_update).
    type: str
    default: ""
  owner:
    description: As in M(kvmfleet.sriov.live_update).
    type: str
    default: ""
  take_over:
    description: As in M(kvmfleet.sriov.live_update).
    type: bool
    default: false
  options:
    description: As in M(kvmfleet.sriov.live_update). C(whole_hash) is always on.
    type: dict
    default: {}
seealso:
  - module: kvmfleet.sriov.live_update
  - module: kvmfleet.sriov.live_update_rehearsal
  - module: kvmfleet.sriov.live_update_wait
"""

EXAMPLES = r"""
- name: Start it, into the kernel that runs
  kvmfleet.sriov.live_update_rehearsal_boot:
    vm_mib: [512]

- name: Wait until the host has ended it
  kvmfleet.sriov.live_update_wait:

- name: Compare, and keep what was measured
  kvmfleet.sriov.live_update_rehearsal_boot:
    state: finished
"""

RETURN = r"""
boot_s:
  description: Seconds from the kexec to the resume unit.
  returned: with state finished
  type: float
  sample: 4.2
vms:
  description: The throw-away VMs, with their pause in seconds. The memory of all was what it had been.
  returned: with state finished
  type: list
  elements: dict
  sample: [{name: rehearsal-1, memory_mib: 64, pause_s: 5.1}]
rehearsal:
  description: All that was measured on this host by now, as M(kvmfleet.sriov.live_update_rehearsal) returns it.
  returned: with state finished
  type: dict
  sample: {schema: 1, disks: {}, boots: {6.12.0-kvmfleet: {seconds: 4.2, release_before: 6.12.0}}}
kind:
  description: What kind of failure it is. V(BadInputError) and V(RefusedError) come before anything is changed.
  returned: failure
  type: str
  sample: RefusedError
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import live_update_module, rehearsal_boot_module
from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible.module import finish
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.machine import LiveHost
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs


def main(host: LiveHost | None = None) -> None:
    module = AnsibleModule(argument_spec=dict(rehearsal_boot_module.OPTIONS), supports_check_mode=True)
    finish(module, lambda: rehearsal_boot_module.declare(module, host or live_update_module.this_host(module, Sysfs())))


if __name__ == "__main__":
    main()
