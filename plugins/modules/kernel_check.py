#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kernel_check
short_description: Check whether a built kernel may be installed, or may boot
version_added: 0.1.0
description:
  - Reads what role kvmfleet.sriov.kernel_deploy needs to know of a kernel's packages on a host, and fails with all
    problems at once, each with what to do. It changes nothing.
  - Before installing, the architecture, the space on C(/boot) for kernel and initrd, and headers for modules from
    outside (DKMS, vendors' drivers) are checked.
  - Before booting, all files of the packages against the checksums that dpkg keeps, the image, an initrd where the
    running kernel has one, its contents (what the root file system rests on, such as LVM, MD, crypt, ZFS and drivers of
    disks, as far as the running kernel's initrd has it), the drivers of the interfaces of the default routes, modules
    from outside, and a signature where Secure Boot or lockdown demands one. Under Secure Boot also whether the firmware
    (db) or shim (MokList) have the certificate of the key, or of who issued it, and whether it is revoked (dbx,
    MokListX).
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
options:
  manifest:
    description: The contents of C(manifest.json), as module M(kvmfleet.sriov.kernel_build) returns them.
    type: dict
    required: true
  before:
    description: What the host is checked for. Without it the module only reads.
    type: str
    choices: [install, boot]
  without_initrd:
    description:
      - The kernel mounts the root by itself, so that it needs no initrd, though the running one has one. An initrd that
        is there is checked all the same.
    type: bool
    default: false
seealso:
  - module: kvmfleet.sriov.kernel_build
  - module: kvmfleet.sriov.boot_entry
"""

EXAMPLES = r"""
- name: Check what is installed before it may boot
  kvmfleet.sriov.kernel_check:
    manifest: "{{ lookup('ansible.builtin.file', '/srv/kernels/6.12-kvmfleet/manifest.json') | from_json }}"
    before: boot
"""

RETURN = r"""
installed:
  description: Whether all packages of the manifest are installed, and all their files are whole.
  returned: success
  type: bool
packages_installed:
  description: Whether dpkg has all packages of the manifest in their versions, whole or not.
  returned: success
  type: bool
interrupted:
  description: Whether dpkg was interrupted, or has packages that are installed in part.
  returned: success
  type: bool
damaged:
  description: Files of installed packages that are missing, or other than they were packed.
  returned: success
  type: list
  elements: str
initrd:
  description: Path of the kernel's initrd, empty without one.
  returned: success
  type: str
running:
  description: Release of the running kernel.
  returned: success
  type: str
"""

from functools import partial

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import kernel_check_module
from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible.module import finish
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.update_deadlines import KERNEL_CHECK_S
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.process import Run, run
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs


def main(sysfs: Sysfs | None = None, program: Run | None = None) -> None:
    ask = program or partial(run, deadline_s=KERNEL_CHECK_S)
    module = AnsibleModule(
        argument_spec={
            "manifest": {"type": "dict", "required": True},
            "before": {"type": "str", "choices": ["install", "boot"]},
            "without_initrd": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: kernel_check_module.check(module, sysfs or Sysfs(), ask))


if __name__ == "__main__":
    main()
