# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Attributes that the modules document."""

from __future__ import annotations


class ModuleDocFragment:
    """A module names this fragment and gives only what differs."""

    DOCUMENTATION = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode and return the changes it would make, without making them.
  diff_mode:
    description: Returns what was before and what is after in diff mode.
  idempotent:
    description: A second run with the same arguments finds nothing to change.
  platform:
    description: The operating system of the managed host.
    support: full
    platforms: linux
"""

    INFO = r"""
options: {}
attributes:
  check_mode:
    description: Can run in check mode; this module never changes anything.
    support: full
  diff_mode:
    description: Returns what was before and what is after in diff mode.
    support: N/A
    details: There is nothing to compare.
  idempotent:
    description: A second run with the same arguments finds nothing to change.
    support: full
  platform:
    description: The operating system of the managed host.
    support: full
    platforms: linux
"""

    DECLARE = r"""
options: {}
attributes:
  action_group:
    description: C(module_defaults) of C(group/kvmfleet.sriov.declare) reach the options that all its modules have.
    support: full
    membership:
      - kvmfleet.sriov.declare
"""

    LIVE_UPDATE = r"""
options: {}
attributes:
  action_group:
    description: C(module_defaults) of C(group/kvmfleet.sriov.live_update) reach the options that all its modules have.
    support: full
    membership:
      - kvmfleet.sriov.live_update
"""
