#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: live_update_info
short_description: Tell whether a hypervisor can be live-updated, and where its live update stands
version_added: 0.1.0
description:
  - Returns status and result of the host's live update. With O(kernel) it also does the preflight, all of it at once.
  - Changes nothing. Running VMs are asked through their QMP monitors.
author:
  - The kvmfleet.sriov contributors (@kvmfleet)
extends_documentation_fragment:
  - kvmfleet.sriov._attributes.info
  - kvmfleet.sriov._attributes.live_update
  - kvmfleet.sriov._live_request
options:
  kernel:
    description:
      - Release of the kernel to go to. It is installed on the host as C(/boot/vmlinuz-RELEASE), with its modules.
      - Without it there is no preflight.
    type: str
seealso:
  - module: kvmfleet.sriov.live_update
"""

EXAMPLES = r"""
- name: May this host be updated
  kvmfleet.sriov.live_update_info:
    kernel: 6.12.0-kvmfleet
    budget_s: 30
  register: live

- name: Show what speaks against it
  ansible.builtin.debug:
    var: live.preflight.refusals
"""

RETURN = r"""
status:
  description: Where the live update stands, with C(manifest), C(phase), C(boot_id), C(time) and C(message). Null
    without one.
  returned: success
  type: dict
  sample: {manifest: 0123456789abcdef0123456789abcdef, phase: done, boot_id: "", time: 1700000000.0, message: ""}
result:
  description:
    - What the live update did, with its phases and VMs, ids of the VFs that were present at the first and last
      restore, and all times in seconds since the epoch. Null without one.
  returned: success
  type: dict
  sample: {result: updated}
run_unit:
  description: State of the unit C(kvmfleet-live-update.service).
  returned: success
  type: str
  sample: inactive
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
      kernel.
    - Null without O(kernel).
  returned: success
  type: dict
  sample: {refusals: [], warnings: [], estimate: {boot: 10.0, pause: 12.3, total: 18.3}, estimate_vms: []}
kind:
  description: What kind of failure it is.
  returned: failure
  type: str
  sample: BadInputError
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import live_update_module
from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible.module import finish
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.machine import LiveHost
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs


def main(host: LiveHost | None = None) -> None:
    module = AnsibleModule(argument_spec=dict(live_update_module.REQUEST_OPTIONS), supports_check_mode=True)
    finish(module, lambda: live_update_module.info(module, host or live_update_module.this_host(module, Sysfs())))


if __name__ == "__main__":
    main()
