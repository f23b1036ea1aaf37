# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths on the managed host, all in one place."""

from __future__ import annotations

HOST_DOCUMENT = "/etc/kvmfleet-sriov/host.json"


DRIVERS = "/sys/bus/pci/drivers"


DEVICES = "/sys/bus/pci/devices"


WRITES = "/run/kvmfleet-sriov/writes"
"""One file a PF, locked while a process writes to that PF by `Sysfs.write_within`."""


ALL_VF_DRIVERS = "/run/kvmfleet-sriov/every_vf"


UNFINISHED = "/run/kvmfleet-sriov/unfinished"
"""One file a PF, named by its address: what a run that has not come to its end owes it (`_owed`)."""
