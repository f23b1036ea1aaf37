#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: kexec_image
short_description: Load a kernel for kexec, or unload it
version_added: 0.1.0
description:
  - Loads a kernel image with the system call C(kexec_file_load), which checks signatures where the kernel insists on
    them. No other program is needed. Nothing is started.
  - The kernel tells only that something is loaded, so what was loaded is noted in
    C(/run/kvmfleet-sriov/kexec-image.json). Something that somebody else loaded is replaced.
  - Refused while a live update is armed or under way, whose kernel would be replaced.
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
  - Python 3.9 or newer on the managed host, which is x86_64 or aarch64
  - a kernel with C(CONFIG_KEXEC_FILE)
options:
  state:
    description: Whether a kernel is to be loaded.
    type: str
    choices: [loaded, unloaded]
    default: loaded
  image:
    description: Path of the kernel image on the host. Required with O(state=loaded).
    type: path
  initrd:
    description: Path of the initial RAM file system on the host. Without it the kernel gets none.
    type: path
  command_line:
    description:
      - The new kernel's command line.
      - Omitted or empty, it is that of the running kernel, less what its boot loader added, with C(panic=30) unless
        it says something about panics.
    type: str
seealso:
  - module: kvmfleet.sriov.live_update
"""

EXAMPLES = r"""
- name: Load a kernel
  kvmfleet.sriov.kexec_image:
    image: /boot/vmlinuz-6.12.0-kvmfleet
    initrd: /boot/initrd.img-6.12.0-kvmfleet

- name: Unload it again
  kvmfleet.sriov.kexec_image:
    state: unloaded
"""

RETURN = r"""
loaded:
  description: Whether a kernel is loaded now (in check mode, would be).
  returned: success
  type: bool
  sample: true
kind:
  description: What kind of failure it is. V(BadInputError) and V(RefusedError) come before anything is changed.
  returned: failure
  type: str
  sample: KernelError
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import kexec_module
from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible.module import finish
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.kexec import Kexec
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs


def main(kexec: Kexec | None = None) -> None:
    module = AnsibleModule(
        argument_spec={
            "state": {"type": "str", "choices": ["loaded", "unloaded"], "default": "loaded"},
            "image": {"type": "path"},
            "initrd": {"type": "path"},
            "command_line": {"type": "str"},
        },
        required_if=[("state", "loaded", ["image"])],
        supports_check_mode=True,
    )
    finish(module, lambda: kexec_module.declare(module, kexec or Kexec(Sysfs(), process.run)))


if __name__ == "__main__":
    main()
