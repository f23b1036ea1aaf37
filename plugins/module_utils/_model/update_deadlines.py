# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deadlines of the live update, in seconds; others: `deadlines`."""

from __future__ import annotations

RUN_DELAY_S = 2
"""Delay before a live update begins, for its task's answer.

The network goes with the update.
"""

ACT_LOCK_S = 10.0
"""Deadline for another act on this host's live update to end."""

LATE_S = 3600.0
"""Deadline of units for the act before theirs on the live update."""

RESERVE_S = 4 * 3600.0
"""Time until others may take over an armed host."""

WAIT_S = 7 * 86400.0
"""Wait of a controller that does not say how long it waits."""

BUDGET_S = 60.0
"""Default budget of a live update's outage."""

PACKAGES_S = 60.0
"""Deadline for packages that are being installed, before VMs are touched."""

UNPLUG_S = 20.0
"""Deadline for all guests of a host to release their VFs.

pciehp waits 5 s after the button is pressed. The VMs that are ready wait as long for the others, without their VFs.
After an abort a guest's late answer is awaited as long again.
"""

SHUTDOWN_S = 60.0
"""Deadline for a guest to shut down, where its policy allows that."""

COPY_S = 600.0
"""Deadline for both copies of a running VM's memory together.

It is stopped then, whatever is left. Once it is stopped MIGRATE_S counts.
"""

COPY_AGAIN = 0.2
"""Part of that for the second copy."""

LIMIT_S = 0.12
"""Time until QEMU has a new limit of a migration's bandwidth.

It looks at it once in 100 ms (migration/migration.c, BUFFER_DELAY).
"""

QUIET_S = 0.04
QUIET_PAUSE_S = 0.005
QUIET_WITHIN_S = 2.0
"""Time without a write of a migration at rest, pause, and deadline.

One that is held writes once in 100 ms (`LIMIT_S`).
"""

MIGRATE_S = 600.0
"""Deadline for a VM's state to be written, or read."""

START_S = 180.0
"""Deadline for a VM's program to start and be ready.

An emulated host needs 20 times as long as hardware.
"""

ANSWER_S = 60.0
"""Deadline for an answer of a VM's monitor."""

PANIC_S = 300
"""Longest wait of a panicked kernel before it resets the host."""

DRY_START_S = 45.0
"""Deadline for a QEMU that is started dry; shorter than `PROGRAM_S`."""

DRY_KILL_S = 5.0
"""Deadline for the end of such a QEMU."""

REHEARSE_S = 30.0
"""Longest time that a rehearsal of disks writes, and reads."""

FILLED_S = 300.0
"""Deadline for a throw-away VM to fill its memory."""

HASHED_S = 600.0
"""Deadline for reading all of its memory."""

ENDED_S = 20.0
"""Deadline for the end of its process, once it is killed."""

LONGEST_BOOT_S = 3600.0
"""Longest time of a boot that a rehearsal believes its clocks."""

LOOK_S = 5.0
"""Deadline for a look at an image on a network."""

BOOT_S = 10.0
"""Assumed time from kexec to resume unit, until it is rehearsed."""

DRIVERS_S = 180.0
"""Deadline for drivers of PFs to be ready after the kexec."""

FILES_S = 1.0
"""Time for which a reading of all open files is shared."""

LINK_ATTEMPTS = 50
"""Attempts to bring up a PF's network interface, which udev may rename."""

AGENT_S = 10.0
CARRIER_S = 60.0
"""Deadlines for a guest's agent, and for a port's carrier."""

RESTORE_WITHIN_S = 900.0
"""Age of a saved VM that is still restored without a confirmation.

Whoever missed it for longer may have started it elsewhere.
"""

GUEST_DOWN_S = 10.0
"""Assumed time in which a guest shuts down."""

CLOCK_S = 2.0
"""Difference of clock and time since the boot that is no setting.

Clocks are slewed, and read one after the other.
"""

MOVE_AWAY_S = 1800.0
"""Deadline for the migration of a VM to another host."""

MOVED_S = 5.0
"""Deadline for the process of a migrated VM to be gone."""

ENDING_S = 10.0
"""Time for a late migration to be ended, before it is killed."""

PROBE_S = 10.0
PROBE_PAUSE_S = 0.1
"""Time for a KVM VM without virtual CPUs to go, and pause."""

SEEN_S = 60.0
"""Deadline for a VM's VF to work, from the VM's return."""

LONGEST_CHECK_S = 600.0
"""Longest deadline for that; until then no other run changes the host."""

WATCHDOG_S = 120.0
"""Shortest timeout of an armed watchdog, where it can wait as long.

A boot that was never timed may take longer than assumed.
"""

ATTEMPT_S = 1.0
ATTEMPT_PAUSE_S = 0.2
"""Deadline of one answer through a VF, and pause between questions."""

KERNEL_CHECK_S = 300.0
"""Deadline for listing an initrd, or for the status of DKMS."""

REMOUNT_S = 3.0
"""Deadline for the kernel to remount all disks, in a work queue."""

WATCHDOG_PAUSE_S = 1.0
"""Pause between attempts to open a watchdog, or to feed it."""

HEALTH_S = 600.0
CONFIRM_S = 900.0
"""Deadlines of a kernel that is tried: to be healthy, and confirmed."""

WATCH_PAUSE_S = 2.0
WATCH_AGAIN_S = 60.0
"""Between two looks for VMs that others start, and after a failure."""

GUARD_PAUSE_S = 5.0
"""Between two looks at a host's health, or for its confirmation."""

UPLINK_S = 2.0
"""Deadline for a gateway's answer; it is asked again with each look."""
