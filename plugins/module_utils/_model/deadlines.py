# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deadlines and pauses on the managed host, in seconds."""

from __future__ import annotations

LOCK_S = 60.0
"""Deadline for another run to release a PF's lock."""

PROGRAM_S = 60.0
"""Deadline for a program (ip, devlink, modprobe); then it is killed."""

KILL_S = 2.0
"""Deadline for a killed program to be gone.

A process in state D does not go (proc(5)).
"""

WRITER_START_S = 30.0
"""Deadline for the start of a writer process's interpreter."""

WRITE_S = 60.0
"""Deadline for a write to the kernel, which another may hold up."""

WRITE_VF_S = 2.0
"""Additional time for each VF that a write adds or removes.

Real drivers need up to one second for a VF.
"""

NETDEV_S = 10.0
"""Deadline for a network interface after its driver was bound.

Some drivers create it in the background (iavf).
"""

BOOT_WAIT_S = 60.0
"""Deadline at boot for late PFs; role sriov, sriov_apply_wait."""

RUN_DELAY_S = 2
"""Delay before a live update begins, for its task's answer.

The network goes with the update.
"""

BUDGET_S = 60.0
"""Default budget of a live update's outage."""

UNPLUG_S = 20.0
"""Deadline for all guests of a host to release their VFs.

pciehp waits 5 s after the button is pressed. The VMs that are ready wait as long for the others, without their VFs.
After an abort a guest's late answer is awaited as long again.
"""

SHUTDOWN_S = 60.0
"""Deadline for a guest to shut down, where its policy allows that."""

MIGRATE_S = 600.0
"""Deadline for a VM's state to be written, or read."""

START_S = 180.0
"""Deadline for a VM's program to start and be ready.

An emulated host needs 20 times as long as hardware.
"""

ANSWER_S = 60.0
"""Deadline for an answer of a VM's monitor."""

BOOT_S = 10.0
"""Assumed time from kexec to resume unit, until it is rehearsed."""

DRIVERS_S = 180.0
"""Deadline for drivers of PFs to be ready after the kexec."""

RESTORE_WITHIN_S = 900.0
"""Age of a saved VM that is still restored without a confirmation.

Whoever missed it for longer may have started it elsewhere.
"""

LINK_ATTEMPTS = 50
"""Attempts to bring up a PF's network interface, which udev may rename."""

AGENT_S = 10.0
CARRIER_S = 60.0
"""Deadlines for a guest's agent, and for a port's carrier."""

LOCK_PAUSE_S = 0.05
NETDEV_PAUSE_S = 0.02
BOOT_PAUSE_S = 0.2
MONITOR_PAUSE_S = 0.02
UNIT_PAUSE_S = 0.01
BUSY_PAUSE_S = 0.2
KEXEC_PAUSE_S = 0.01
DRIVERS_PAUSE_S = 0.01
LINK_PAUSE_S = 0.1
FILL_PAUSE_S = 0.02
"""Pauses between two readings of an awaited condition.

`FILL_PAUSE_S` is between writes that add the VFs that no VM uses.
"""
