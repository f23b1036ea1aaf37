#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: live_update
short_description: Move a hypervisor into another kernel while its VMs stay in memory
version_added: 0.1.0
description:
  - Arms, starts, acknowledges or cancels the live update of one host. Between the start and the end the host acts
    alone.
  - Armed, a host has a manifest of its VMs and VFs, and the new kernel is loaded. Started, it saves its VMs to files,
    starts the new kernel by kexec, enables all VFs, adds those that VMs own with the properties they had, brings the
    VMs back, and adds the other VFs.
  - VMs are read from the running QEMU processes and their QMP monitors. Their VFs are unplugged before and plugged
    again after.
  - Until the new kernel is started a failure brings every VM back on the old one.
  - Needs C(/usr/local/sbin/sriovctl) and the unit C(kvmfleet-sriov-resume.service) on the host, which the roles
    C(kvmfleet.sriov.sriov) and C(kvmfleet.sriov.live_update) install.
author:
  - The kvmfleet.sriov contributors (@kvmfleet)
extends_documentation_fragment:
  - kvmfleet.sriov._attributes
  - kvmfleet.sriov._attributes.live_update
  - kvmfleet.sriov._live_request
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: A diff is returned by O(state=armed).
  idempotent:
    support: full
requirements:
  - Python 3.9 or newer, systemd, and QEMU 8.2 or newer on the managed host
options:
  state:
    description:
      - With V(moved) VMs with O(vms[].strategy=migrate) are moved to other hosts, one after the other, when nothing
        speaks against the update of this one. Each releases its VFs before, and gets them again when it stays.
      - With V(armed) the preflight is done, the manifest is written and the kernel is loaded. An earlier armed update
        that differs is replaced.
      - With V(started) the armed update begins two seconds later, in the unit C(kvmfleet-live-update.service). The
        task does not wait for it. A host whose update has begun or ended already is left alone. With O(kernel) the
        update is armed first, under the same lock, so that no other controller can arm in between.
      - With V(acknowledged) an update that has ended is forgotten, its state files are deleted. Refused while a VM does
        not run from its state. C(sriovctl live-update restore) on the host brings such a VM back.
      - With V(cancelled) an armed update that has not begun is forgotten, its kernel is unloaded. A host that is only
        reserved is given back.
    type: str
    required: true
    choices: [moved, armed, started, acknowledged, cancelled]
  kernel:
    description:
      - Release of the kernel to go to. It is installed on the host as C(/boot/vmlinuz-RELEASE), with its modules.
      - Required with O(state=armed) and O(state=moved).
    type: str
  force:
    description:
      - Permits V(all) in O(discard_memory). Without names there it is an error, as nothing says whose memory to give
        up.
    type: bool
    default: false
  discard_memory:
    description:
      - With O(state=acknowledged), names of VMs whose memory is given up. Their states are moved to
        C(/var/lib/kvmfleet-sriov/discarded) and stay there for 7 days.
      - V(all) alone, with O(force=true), means every VM that does not run from its state.
    type: list
    elements: str
    default: []
  stay_reserved:
    description:
      - With O(state=acknowledged), the host stays reserved for O(owner), for C(reserve_s) of O(options) from now on, so
        that no other controller gets in before the update that follows. O(state=cancelled) gives it back.
    type: bool
    default: false
seealso:
  - module: kvmfleet.sriov.live_update_info
  - module: kvmfleet.sriov.kexec_image
"""

EXAMPLES = r"""
- name: Arm the live update
  kvmfleet.sriov.live_update:
    state: armed
    kernel: 6.12.0-kvmfleet
    host: "{{ inventory_hostname }}"
    budget_s: 30
    vms:
      - name: web1
        priority: 10
        cold_start: true

- name: Start it
  kvmfleet.sriov.live_update:
    state: started

- name: Forget it when all is well
  kvmfleet.sriov.live_update:
    state: acknowledged
"""

RETURN = r"""
phase:
  description:
    - Where the live update stands. One of V(armed), V(unplugging), V(copying), V(saving), V(saved), V(kexec),
      V(resuming), V(restoring), V(filling), V(checking), V(done), V(aborted), V(failed), V(unknown) when its status
      was damaged, or null when there is none.
  returned: success
  type: str
  sample: armed
manifest_id:
  description: The id of the update, which is also on the new kernel's command line.
  returned: success
  type: str
  sample: 0123456789abcdef0123456789abcdef
preflight:
  description:
    - What speaks against the update (C(refusals)), what to look at (C(warnings)), each with C(code), C(problem) and
      C(fix), and the predicted outage in seconds by part (C(estimate)). Of that, C(pause) is how long VMs stand still,
      C(total) how long one may be without its VFs. C(estimate_vms) has both for each VM (C(pause_s), C(without_vf_s);
      C(idle_pause_s) is the pause of a guest that writes nothing),
      in the order of their return, and whether its memory is copied while it runs (C(live)).
    - C(estimate_basis) says on what its disk speed and its time of the boot rest. V(option), V(default), or a rehearsal
      by M(kvmfleet.sriov.live_update_rehearsal).
    - C(vms) and C(pfs) are those that take part. C(interface_after) is the SR-IOV interface expected of the new
      kernel. C(moves) has the command line that moves each VM away (C(name), C(words)).
  returned: success with O(state=armed) or O(state=moved)
  type: dict
  sample: {refusals: [], warnings: [], estimate: {boot: 10.0, pause: 12.3, total: 18.3}, estimate_vms: []}
moved:
  description: Names of the VMs that have left; in check mode, of those that would.
  returned: success with O(state=moved)
  type: list
  elements: str
  sample: [db1]
kind:
  description: What kind of failure it is. V(BadInputError) and V(RefusedError) come before anything is changed.
  returned: failure
  type: str
  sample: RefusedError
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import live_update_module
from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible.module import finish
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.machine import LiveHost
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs


def main(host: LiveHost | None = None) -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {
                "type": "str",
                "required": True,
                "choices": ["moved", "armed", "started", "acknowledged", "cancelled"],
            },
            "force": {"type": "bool", "default": False},
            "discard_memory": {"type": "list", "elements": "str", "default": []},
            "stay_reserved": {"type": "bool", "default": False},
            **live_update_module.REQUEST_OPTIONS,
        },
        required_if=[("state", "armed", ["kernel"]), ("state", "moved", ["kernel"])],
        supports_check_mode=True,
    )
    finish(module, lambda: live_update_module.declare(module, host or live_update_module.this_host(module, Sysfs())))


if __name__ == "__main__":
    main()
