#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: live_update_wait
short_description: Wait until a hypervisor answers, or its live update has ended
version_added: 0.1.0
description:
  - Asks the host for the status of its live update until that has ended, through the time when the host cannot be
    reached.
  - Or only until it answers at all. A host whose update was begun by an earlier run may be between two kernels.
  - Each new phase is shown.
author:
  - The kvmfleet.sriov contributors (@kvmfleet)
extends_documentation_fragment:
  - kvmfleet.sriov._attributes.info
options:
  until:
    description: What to wait for.
    type: str
    choices:
      ended: No live update is under way.
      answer: The host has reported its status.
    default: ended
  timeout:
    description: How many seconds to wait at most. The host goes on by itself after that.
    type: int
    default: 900
  interval:
    description: How many seconds to wait between two questions.
    type: float
    default: 2.0
notes:
  - This is an action plugin. It runs on the controller and asks the host with M(kvmfleet.sriov.live_update_info).
seealso:
  - module: kvmfleet.sriov.live_update
  - module: kvmfleet.sriov.live_update_info
"""

EXAMPLES = r"""
- name: Wait for the end of the live update
  kvmfleet.sriov.live_update_wait:
    timeout: 600
"""

RETURN = r"""
status:
  description: As returned by M(kvmfleet.sriov.live_update_info). Null when the host has no live update.
  returned: success
  type: dict
  sample: {manifest: 0123456789abcdef0123456789abcdef, phase: done, boot_id: "", time: 1700000000.0, message: ""}
result:
  description: As returned by M(kvmfleet.sriov.live_update_info).
  returned: success
  type: dict
  sample: {result: updated}
run_unit:
  description: As returned by M(kvmfleet.sriov.live_update_info).
  returned: success
  type: str
  sample: inactive
"""
