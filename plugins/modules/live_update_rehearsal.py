#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: live_update_rehearsal
short_description: Measure what a live update of a hypervisor would rest on
version_added: 0.1.0
description:
  - Measures how fast the disk that states of VMs go to is written and read, beside running VMs, with low priority.
  - It is kept on the host in C(/var/lib/kvmfleet-sriov/rehearsal.json). Estimates and deadlines of later live updates
    rest on it where their options give no figure.
  - The file that is written has no name, so nothing of it stays. The page cache is not used, where the file system
    allows that.
  - Refused while a live update is under way, and without space.
author:
  - The kvmfleet.sriov contributors (@kvmfleet)
extends_documentation_fragment:
  - kvmfleet.sriov._attributes
attributes:
  check_mode:
    support: partial
    details: Space and state of the host are checked, nothing is measured.
  diff_mode:
    support: full
  idempotent:
    support: none
    details: It measures each time.
options:
  size_mib:
    description:
      - Size in MiB that is written and read, 16 to 65536. After 30 seconds less is enough.
      - 256 MiB of the disk stay free in any case.
    type: int
    default: 1024
seealso:
  - module: kvmfleet.sriov.live_update
  - module: kvmfleet.sriov.live_update_info
"""

EXAMPLES = r"""
- name: Measure the disk
  kvmfleet.sriov.live_update_rehearsal:
    size_mib: 4096
"""

RETURN = r"""
rehearsal:
  description:
    - All that was measured on this host by now. C(disks) by the source of their file system, with C(write_mib_s) and
      C(read_mib_s), C(direct) for without the page cache, and C(date) in seconds since the epoch.
    - C(boots) by the kernel's release, with C(seconds) from the kexec to the resume unit.
  returned: success
  type: dict
  sample: {schema: 1, disks: {/dev/vda1: {write_mib_s: 812.5, read_mib_s: 1630.1}}, boots: {}}
kind:
  description: What kind of failure it is. V(BadInputError) and V(RefusedError) come before anything is changed.
  returned: failure
  type: str
  sample: RefusedError
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import rehearsal_module
from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible.module import finish
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import machine
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.machine import LiveHost
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs


def main(host: LiveHost | None = None) -> None:
    module = AnsibleModule(
        argument_spec={"size_mib": {"type": "int", "default": 1024}},
        supports_check_mode=True,
    )
    this = host or machine.real(Sysfs(), Options(), lambda _line: None)
    finish(module, lambda: rehearsal_module.declare(module, this))


if __name__ == "__main__":
    main()
