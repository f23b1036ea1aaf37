# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths and fixed names on the managed host; more: `update_paths`, `boot_paths`.

Roles and units repeat some of them: tests/unit/plugins/module_utils/_model/test_paths.py holds them equal.
"""

from __future__ import annotations

DEVICES = "/sys/bus/pci/devices"
DRIVERS = "/sys/bus/pci/drivers"
PROBE = "/sys/bus/pci/drivers_probe"
PCI_ADDRESS = r"[0-9a-f]{4,}:[0-9a-f]{2}:[01][0-9a-f]\.[0-7]"
"""Pattern of the names in `DEVICES`: DOMAIN:BUS:DEVICE.FUNCTION (sysfs-bus-pci)."""

NO_IOMMU_MODE = "/sys/module/vfio/parameters/enable_unsafe_noiommu_mode"
"""Whether VFIO takes devices without an IOMMU (drivers/vfio/group.c)."""

NETDEVS = "/sys/class/net"
BLOCK_DEVICES = "/sys/class/block"
BOOT_ID = "/proc/sys/kernel/random/boot_id"
UPTIME = "/proc/uptime"
COMMAND_LINE = "/proc/cmdline"
RELEASE = "/proc/sys/kernel/osrelease"

HOST_DOCUMENT = "/etc/kvmfleet-sriov/host.json"
"""The host document that role `sriov` writes and the boot unit applies."""

VM_FOLDERS = "/etc/kvmfleet-sriov/vm_folders"
"""Further folders with definitions of VMs, one a line (`_holders.vm_folders`)."""

PROGRAM = "/usr/local/sbin/sriovctl"

PF_LOCKS = "/run/kvmfleet-sriov/pfs"
"""One lock file a PF, locked by the run that changes it.

It is named by the PF's address and holds "PID TIME COMMAND" (`pf_lock`).
"""

WRITES = "/run/kvmfleet-sriov/writes"
"""One lock file a PF, locked during a write (`Sysfs.write_within`)."""

ALL_VF_DRIVERS = "/run/kvmfleet-sriov/every_vf"
"""Names of drivers without absent VFs, a file a PF (`_engine.all_vf_drivers`)."""

UNFINISHED = "/run/kvmfleet-sriov/unfinished"
"""One journal file a PF, left by an unfinished run (`_engine.journal`)."""

LEFT = "/run/kvmfleet-sriov/left"
"""One file a PF, with its VFs after our last run.

`_engine.other_writes` has its shape.
"""

LAST_APPLY = "/run/kvmfleet-sriov/last_apply.json"
KEXEC_LOADED = "/sys/kernel/kexec_loaded"
"""1 while a kernel is loaded for kexec (kernel/ksysfs.c)."""

KEXEC_IMAGE = "/run/kvmfleet-sriov/kexec-image.json"
"""The kernel that this collection has loaded for kexec (`_live_update.kexec`)."""

LIVE_UPDATE = "/var/lib/kvmfleet-sriov/live-update"
"""Private folder of a live update, with its states of VMs."""

LIVE_UPDATE_STATUS = f"{LIVE_UPDATE}/status.json"
UPDATE_PARAMETER = "kvmfleet.update"
"""Kernel command line parameter that ties the new kernel to its manifest."""
