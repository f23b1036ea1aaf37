#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: boot_entry
short_description: Read and set which kernel file starts next and by default
version_added: 0.1.0
description:
  - Tells which kernel file the boot loader starts at the next boot, at the boots after that, and when the default
    cannot be loaded, by the boot loader's own rules. With options it sets them, by the boot loader's own means, and
    reads the answer again; where that is not what it should be, the files are put back and the module fails.
  - Of GRUB, C(grub.cfg) and the environment block are run through as GRUB runs them; of systemd-boot, entries,
    C(loader.conf) and EFI variables are read; of Proxmox's boot tool, copies of all its ESPs, which must start the
    same.
  - Fails, with what it has looked at, where the answer is not known. Nothing is guessed, and nothing is changed then.
  - Without options it only reads.
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
  - Python 3.9 or newer on the managed host
  - GRUB (C(grub-editenv), C(grub-mkconfig)), systemd-boot (C(bootctl)) or ESPs of C(proxmox-boot-tool)
options:
  default:
    description:
      - Release of the kernel that shall start by default, whatever else is installed later.
      - Refused for a kernel that is not the default and has not shown that it boots through the firmware; see
        O(allow_unproven).
      - Where C(grub.cfg) does not take its default from the environment block, C(GRUB_DEFAULT=saved) is written to
        C(/etc/default/grub.d/zz-kvmfleet-sriov.cfg), and C(grub.cfg) is written again.
    type: str
  once:
    description:
      - Release of the kernel that shall start at the next boot alone. Empty, that is the default again.
      - Where C(grub-mkconfig) has written C(grub.cfg), C(/etc/grub.d/09_kvmfleet_sriov) gets two entries, the
        default of now and the one to be tried, and C(grub.cfg) is written again. Needs a default that is pinned.
      - GRUB on LVM, RAID, btrfs and ZFS could not forget it. With UEFI it is tried there by BootNext, which starts a
        copy of the host's own GRUB in C(/EFI/kvmfleet) of the ESP; that must be mounted. Refused with BIOS.
      - Refused for GRUB on ESPs of Proxmox's boot tool.
    type: str
  allow_unproven:
    description:
      - Whether O(default) may be a kernel that was started by kexec alone, or that does not run. Its build counts as
        one that has booted from then on.
    type: bool
    default: false
  running:
    description:
      - Whether to refuse a O(default) that is not the build that runs, by release and version text (C(uname -v)). After
        a kexec its file may be another kernel than the image that was loaded.
    type: bool
    default: false
  keep:
    description:
      - Whether to keep the default that the host has now as the wanted one, where none is kept yet. O(default) always
        keeps it. RV(wanted) is compared with by role P(kvmfleet.sriov.kernel_deploy#role).
    type: bool
    default: false
  after_update:
    description:
      - Whether to return also what would start after C(grub.cfg) is written again, as installing a kernel does.
      - C(grub-mkconfig) runs for it, to its standard output.
    type: bool
    default: false
seealso:
  - module: kvmfleet.sriov.kexec_image
"""

EXAMPLES = r"""
- name: Read which kernel starts
  kvmfleet.sriov.boot_entry:
  register: boot

- name: Try a kernel at the next boot
  kvmfleet.sriov.boot_entry:
    once: 6.12.43-kvmfleet1

- name: Make it the default, now that it has booted
  kvmfleet.sriov.boot_entry:
    default: 6.12.43-kvmfleet1
"""

RETURN = r"""
loader:
  description: The boot loader, V(grub), V(systemd-boot) or V(proxmox-boot-tool).
  returned: success
  type: str
  sample: grub
evidence:
  description: What shows that it is the one that boots this host.
  returned: success
  type: list
  elements: str
  sample: [boot sector of GRUB on sda]
next:
  description: What starts at the next boot.
  returned: success
  type: dict
  contains: &start
    entry:
      description: The boot loader's name of the entry.
      returned: always
      type: str
    title:
      description: Its title.
      returned: always
      type: str
    kernel:
      description: Path of the kernel file on the host; null where the entry starts something else.
      returned: always
      type: str
      sample: /boot/vmlinuz-6.1.0-18-amd64
    release:
      description: The release in that file's name.
      returned: always
      type: str
      sample: 6.1.0-18-amd64
    initrd:
      description: Paths of its initial RAM file systems.
      returned: always
      type: list
      elements: str
    command_line:
      description: The command line in the entry.
      returned: always
      type: str
    missing:
      description: Files of the entry that do not exist.
      returned: always
      type: list
      elements: str
    pinned:
      description: Whether it was chosen by a name that stays this kernel's when others are installed.
      returned: always
      type: bool
default:
  description: What starts at the boots after that.
  returned: success
  type: dict
  contains: *start
on_failure:
  description: What starts when the default cannot be loaded; null where the boot loader then waits for a person.
  returned: success
  type: dict
  contains: *start
no_once:
  description: Why no kernel can be tried once; null where one can.
  returned: success
  type: str
waits:
  description: Whether the boot loader waits for a person at each boot, at its menu or for a passphrase.
  returned: success
  type: bool
choices:
  description: The entries that can be chosen.
  returned: success
  type: list
  elements: dict
  contains:
    entry:
      description: The boot loader's name of the entry.
      returned: always
      type: str
    release:
      description: The release of its kernel.
      returned: always
      type: str
after_update:
  description: With O(after_update=true), what would start once C(grub.cfg) is written again; null without it.
  returned: success
  type: dict
  contains:
    default:
      description: As RV(default).
      returned: always
      type: dict
wanted:
  description: >-
    The default that is wanted on this host, with C(kernel), C(release) and C(build) (C(uname -v)); null where none was
    kept.
  returned: success
  type: dict
  sample:
    kernel: /boot/vmlinuz-6.1.0-18-amd64
    release: 6.1.0-18-amd64
    build: "#1 SMP PREEMPT_DYNAMIC Debian 6.1.76-1 (2024-02-01)"
replaced:
  description: >-
    Whether the file of RV(wanted) is another build by now, which was not seen to boot as the default. O(default) with
    its release is refused then, unless it has booted.
  returned: success
  type: bool
runs:
  description: Whether RV(default) is the build that runs, by release and, where its file shows it, C(uname -v).
  returned: success
  type: bool
by_kexec:
  description: >-
    Why a reboot may start a kernel that is loaded for kexec in place of RV(next), as C(shutdown -r) does; null where it
    goes through the firmware.
  returned: success
  type: str
booted_by:
  description: How the running kernel was started, V(firmware), V(kexec) or, not on x86, V(unknown).
  returned: success
  type: str
  sample: firmware
kind:
  description: What kind of failure it is; V(UnknownBootError) where the answer is not known.
  returned: failure
  type: str
  sample: UnknownBootError
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import boot_entry_module
from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible.module import finish
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.process import Run, run
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs


def main(sysfs: Sysfs | None = None, program: Run = run) -> None:
    module = AnsibleModule(
        argument_spec={
            "default": {"type": "str"},
            "once": {"type": "str"},
            "allow_unproven": {"type": "bool", "default": False},
            "running": {"type": "bool", "default": False},
            "keep": {"type": "bool", "default": False},
            "after_update": {"type": "bool", "default": False},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: boot_entry_module.declare(module, sysfs or Sysfs(), program))


if __name__ == "__main__":
    main()
