#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_trial
short_description: Try a kernel once, guarded by the host itself
version_added: 0.1.0
description:
  - Arms a kernel for the next boot alone, with what its health is judged by; makes it the default once it is healthy;
    or takes it back. It does not reboot.
  - A unit of the host, C(kvmfleet-sriov-boot-guard.service), judges each boot with C(sriovctl boot-guard). A host that
    is not healthy in time, or not confirmed in time, reboots into the default, which is the kernel that was known to
    boot. While VMs run it does not, unless O(with_vms=true).
  - Role P(kvmfleet.sriov.kernel_deploy#role) installs the unit and the node program.
author:
  - The kvmfleet.sriov contributors (@kvmfleet)
extends_documentation_fragment:
  - kvmfleet.sriov._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
  idempotent:
    support: full
requirements:
  - Python 3.9 or newer on the managed host
  - systemd, and a boot loader that can try a kernel once; see M(kvmfleet.sriov.boot_entry)
options:
  state:
    description:
      - V(read) returns where a trial stands.
      - V(armed) lets the next boot try O(release). Refused where the default is not pinned or was never seen to boot,
        where the boot loader cannot try a kernel once or waits for a person, and where a panic would hang.
      - V(confirmed) makes the kernel the default. Refused unless it runs, was started by the firmware
        with the words of its entry, and is healthy.
      - V(withdrawn) takes back what waits to be tried.
    type: str
    choices: [read, armed, confirmed, withdrawn]
    default: read
  release:
    description: Release of the kernel, for O(state=armed).
    type: str
  command_line:
    description:
      - Words behind the command line of its entry, where the boot loader has an entry for the trial alone.
      - Refused for words that its entry lacks, as the default would be another command line than the one that is tried;
        see O(only_once). C(panic=) and others that only lead back are none of them.
    type: list
    elements: str
    default: []
  only_once:
    description: Whether O(command_line) may have words for the trial alone.
    type: bool
    default: false
  panic_s:
    description: >-
      Seconds from a panic to the reset (C(panic=)), where the entry does not have it. 0 leaves it away.
    type: int
    default: 30
  watchdog_s:
    description: >-
      Seconds after which a hardware watchdog, where there is one, resets a host that hangs; systemd feeds it while the
      kernel is tried. 0 for none.
    type: int
    default: 120
  uplinks:
    description: >-
      Interfaces that must have a carrier, and gateways that must answer; by default those of the default routes.
    type: list
    elements: dict
    suboptions:
      interface:
        description: Name of the network interface.
        type: str
        required: true
      gateway:
        description: IP address that must answer there, by ARP for IPv4 and by ping for IPv6.
        type: str
  health_commands:
    description: Commands, as lists of words, that must succeed on the host. There is no shell.
    type: list
    elements: list
    default: []
  health_s:
    description: Seconds from the boot within which the host must be healthy.
    type: float
    default: 600
  confirm_s:
    description: Seconds from the boot within which it must be confirmed.
    type: float
    default: 900
  with_vms:
    description: Whether the host goes back by itself also while VMs run, which ends them.
    type: bool
    default: false
  allow_unproven:
    description: Whether the default may be a kernel that was never seen to boot through the firmware.
    type: bool
    default: false
seealso:
  - module: kvmfleet.sriov.boot_entry
"""

EXAMPLES = r"""
- name: Try a kernel at the next boot
  kvmfleet.sriov.boot_trial:
    state: armed
    release: 6.12.43-kvmfleet1
    health_commands:
      - [zpool, status, -x]

- name: Reboot
  ansible.builtin.reboot:

- name: Make it the default
  kvmfleet.sriov.boot_trial:
    state: confirmed
"""

RETURN = r"""
trial:
  description: The trial, with its phase and reason; null without one.
  returned: success
  type: dict
  sample: {"release": "6.12.43-kvmfleet1", "phase": "healthy", "reason": ""}
runs:
  description: Whether the kernel that is tried runs, by its release and build.
  returned: success
  type: bool
vms:
  description: Processes that could be VMs, of root or in machines' control groups.
  returned: success
  type: list
  elements: str
boot_id:
  description: Id of this boot.
  returned: success
  type: str
kind:
  description: What kind of failure it is.
  returned: failure
  type: str
  sample: RefusedError
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import boot_trial_module
from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible.module import finish
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.process import Run, run
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs


def main(sysfs: Sysfs | None = None, program: Run = run) -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["read", "armed", "confirmed", "withdrawn"], "default": "read"},
            "release": {"type": "str"},
            "command_line": {"type": "list", "elements": "str", "default": []},
            "only_once": {"type": "bool", "default": False},
            "panic_s": {"type": "int", "default": 30},
            "watchdog_s": {"type": "int", "default": 120},
            "uplinks": {
                "type": "list",
                "elements": "dict",
                "options": {"interface": {"type": "str", "required": True}, "gateway": {"type": "str"}},
            },
            "health_commands": {"type": "list", "elements": "list", "default": []},
            "health_s": {"type": "float", "default": 600},
            "confirm_s": {"type": "float", "default": 900},
            "with_vms": {"type": "bool", "default": False},
            "allow_unproven": {"type": "bool", "default": False},
        },
        required_if=[("state", "armed", ["release"])],
        supports_check_mode=True,
    )
    finish(module, lambda: boot_trial_module.act(module, sysfs or Sysfs(), program))


if __name__ == "__main__":
    main()
