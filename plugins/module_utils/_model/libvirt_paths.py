# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of libvirt on the host, and ours for its domains."""

from __future__ import annotations

ATTEMPTS = "/var/lib/kvmfleet-sriov/libvirt"
"""Folder of what was begun with each domain."""

LIBVIRT_SCRATCH = "/run/kvmfleet-sriov/libvirt"
"""Private folder of XML for virsh."""

GUESTS_HELD = "/run/kvmfleet-sriov/libvirt-guests-held"
"""Folder with a file for each domain held off, by UUID."""
