#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: live_update_verify
short_description: See whether the VFs of VMs work after a live update
version_added: 0.1.0
description:
  - Does the checks that concern the controller, all at once, again and again until they succeed or their time is over.
  - Returns them together with those that the host itself has done.
  - A VF that is not seen is no failure of this task.
author:
  - The kvmfleet.sriov contributors (@kvmfleet)
extends_documentation_fragment:
  - kvmfleet.sriov._attributes.info
options:
  vms:
    description: VMs with their checks, as O(kvmfleet.sriov.live_update#module:vms).
    type: list
    elements: dict
    default: []
  result:
    description: The result of the update, as returned by M(kvmfleet.sriov.live_update_wait).
    type: dict
    required: true
notes:
  - This is an action plugin. It runs on the controller, with the program C(ping) there, and asks the host for its
    time.
seealso:
  - module: kvmfleet.sriov.live_update
  - module: kvmfleet.sriov.live_update_wait
"""

EXAMPLES = r"""
- name: Wait for the end of the live update
  kvmfleet.sriov.live_update_wait:
  register: ended

- name: Ping the guest
  kvmfleet.sriov.live_update_verify:
    vms:
      - name: web1
        check: {ping: 192.0.2.7}
    result: "{{ ended.result }}"
"""

RETURN = r"""
seen:
  description:
    - What was seen of each VM with a check. C(seen_by) is the check in words, C(seen_at) the time by the host's clock
      in seconds since the epoch, or null, and C(not_seen) the reason then.
    - What the controller sees it sees at the update's end, or later.
  returned: success
  type: dict
  sample: {web1: {seen_by: ping of 192.0.2.7 from the controller, seen_at: 1700000000.0, not_seen: null}}
lost:
  description: A sentence for each VM whose VF was not seen.
  returned: success
  type: list
  elements: str
  sample: []
"""
