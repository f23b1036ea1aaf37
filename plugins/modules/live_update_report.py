#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: live_update_report
short_description: Write the report of a live update on the controller
version_added: 0.1.0
description:
  - Writes C(report.json) and C(report.html) of one run of the playbook, from the evidence that was kept of it.
  - Every host that was asked for is in it, lost ones first, each with the reason.
  - With more than 30 hosts C(report.html) is a table of all hosts, and each host has a page in C(hosts).
  - A run in which no host has anything to do leaves no report, and C(latest) as it was.
  - All files are their owner's alone.
author:
  - The kvmfleet.sriov contributors (@kvmfleet)
extends_documentation_fragment:
  - kvmfleet.sriov._attributes.info
options:
  path:
    description:
      - Folder on the controller with a folder of each run. That has C(evidence) with a folder of each host.
      - The link C(latest) in it is made to lead to this run.
    type: path
    required: true
  run:
    description: Name of the run and of its folder.
    type: str
    required: true
  hosts:
    description:
      - All hosts that were asked for, each with C(result) and C(error) as they are where there is no evidence of it.
    type: dict
    required: true
  keep:
    description:
      - How many runs to keep in O(path), the newest ones. Older ones are deleted. V(0) keeps all.
      - A run stays while a host of it has an update that no run has forgotten, as states of VMs may be on it.
      - Only folders with names as the playbook gives them are runs.
    type: int
    default: 0
notes:
  - This is an action plugin. It runs on the controller alone.
seealso:
  - module: kvmfleet.sriov.live_update
  - module: kvmfleet.sriov.live_update_wait
"""

EXAMPLES = r"""
- name: Write the report
  kvmfleet.sriov.live_update_report:
    path: /srv/reports
    run: 20261129T131500Z-0a1b2c
    hosts:
      h1: {result: not begun, error: ""}
      h2: {result: unreachable, error: no route to host}
  run_once: true
"""

RETURN = r"""
folder:
  description: Folder of this run, empty where no host has anything to do.
  returned: success
  type: str
  sample: /srv/reports/20261129T131500Z-0a1b2c
lines:
  description: The report as text, with a bar for each phase and VM; with more than 30 hosts those that were lost.
  returned: success
  type: list
  elements: str
  sample: ["batch 1: h1"]
results:
  description: Result and error of each host.
  returned: success
  type: dict
  sample: {h1: {result: updated, error: ""}}
"""
