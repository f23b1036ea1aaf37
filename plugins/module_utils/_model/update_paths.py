# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths and names that the live update alone uses; others: `paths`."""

from __future__ import annotations

RESUME_UNIT = "kvmfleet-sriov-resume.service"
WATCHDOG_UNIT = "kvmfleet-sriov-watchdog.service"
COME_BACK_UNIT = "kvmfleet-sriov-come-back.service"
RESUME_ENABLED = f"/etc/systemd/system/sysinit.target.wants/{RESUME_UNIT}"
"""The link of `systemctl enable` for WantedBy=sysinit.target (systemctl(1))."""

VERSION = "/proc/sys/kernel/version"
"""Version text of the running kernel (uname -v), with its build."""

VMCORE = "/proc/vmcore"
"""Memory of the crashed kernel, in a crash kernel alone (fs/proc/vmcore.c)."""

LIVE_UPDATE_DISCARDED = "/var/lib/kvmfleet-sriov/discarded"
"""Private folder for states of VMs that an operator has given up."""

ENVIRONMENTS = "/run/kvmfleet-sriov/environment"
"""Private folder of files with VMs' environments during their starts."""

LIVE_UPDATE_LOCK = "/run/kvmfleet-sriov/live-update.lock"
"""Lock file of acts on the live update.

It holds "PID TIME COMMAND" (`pf_lock`).
"""

BUS = "/run/dbus/system_bus_socket"
"""Socket of the system's D-Bus, not there early in a boot."""

READ_ONLY = "/run/kvmfleet-sriov/made-read-only.json"
"""Disks that were writable before they were made so for a jump."""

REHEARSAL = "/var/lib/kvmfleet-sriov/rehearsal.json"
"""What rehearsals have measured on this host."""

REHEARSAL_VMS = "/var/lib/kvmfleet-sriov/rehearsal"
"""Private folder of a rehearsal's throw-away VMs, while there are any."""

REHEARSAL_SOCKETS = "/run/kvmfleet-sriov/rehearsal"
"""Private folder of their monitors."""

REBOOT_REQUIRED = "/run/reboot-required"
"""File by which packages ask for a reboot."""

REBOOT_HELD = "/run/kvmfleet-sriov/reboot-required"
"""That file while an update holds off who acts on it."""

SHUTDOWN_SCHEDULED = "/run/systemd/shutdown/scheduled"
"""File of systemd-logind while a shutdown is scheduled."""
