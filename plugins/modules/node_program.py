#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_program
short_description: Install sriovctl, the engine of this collection as a program
version_added: 0.1.0
description:
  - Packs the engine of this collection into one file on the controller and installs it on the managed host when it
    differs. The same collection gives the same bytes everywhere.
  - The program applies the host document at boot and carries out a live update without the controller.
  - A live update that has begun needs the program that it began with, so that one is not replaced before its end.
    One that has saved VMs which are not back is replaced by a program that knows their form; any other is refused,
    with their names.
    Programs elsewhere than at the default O(dest) are always replaced.
author:
  - The kvmfleet.sriov contributors (@kvmfleet)
extends_documentation_fragment:
  - kvmfleet.sriov._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: none
    details: The program is not text.
  idempotent:
    support: full
requirements:
  - Python 3.9 or newer as C(/usr/bin/python3) on the managed host
options:
  dest:
    description: Where to install it. The folder must exist.
    type: path
    default: /usr/local/sbin/sriovctl
notes:
  - This is an action plugin. It runs on the controller and copies the program to the managed host.
seealso:
  - module: kvmfleet.sriov.sriov_pf
"""

EXAMPLES = r"""
- name: Install sriovctl
  kvmfleet.sriov.node_program:
"""

RETURN = r"""
dest:
  description: Where the program is.
  returned: success
  type: str
  sample: /usr/local/sbin/sriovctl
checksum:
  description: SHA-1 checksum of the program.
  returned: success
  type: str
  sample: 7b0f7ab2d4bd2bd0cd3c2ae4bd58ae0ed9b7ed5f
"""
