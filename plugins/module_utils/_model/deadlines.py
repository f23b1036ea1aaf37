# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deadlines and pauses on the managed host, in seconds, all in one place."""

from __future__ import annotations

LOCK_S = 60.0
"""For another run to release a PF's lock."""

PROGRAM_S = 60.0
"""For a program (ip, devlink, modprobe) to end; then it is killed."""

KILL_S = 2.0
"""For a killed program to be gone: all but a process in state D are (proc(5))."""

WRITER_START_S = 30.0
"""For the interpreter of a writer process to start."""

WRITE_S = 60.0
"""For a write to the kernel, where another one may hold it up."""

WRITE_VF_S = 2.0
"""More for each VF that a write brings or takes: real drivers need up to one second for a VF."""

NETDEV_S = 10.0
"""For a network interface to appear after its driver was bound: some do it in the background (iavf)."""

BOOT_WAIT_S = 60.0
"""At boot, for PFs that appear late; role sriov, sriov_apply_wait."""

RUN_DELAY_S = 2
"""Before a live update begins, so that the task that started it can answer before the network goes."""

BUDGET_S = 60.0
"""Of a live update's outage, unless the operator says otherwise."""

UNPLUG_S = 120.0
"""For a guest to release a VF (pciehp waits 5 s after the button is pressed)."""

MIGRATE_S = 600.0
"""For a VM's state to be written, or read."""

START_S = 180.0
"""For a VM's program to start and to be ready: an emulated host needs 20 times what hardware does."""

ANSWER_S = 60.0
"""For an answer of a VM's monitor."""

DRIVERS_S = 180.0
"""For drivers of PFs to be ready after the jump."""

LOCK_PAUSE_S = 0.05
NETDEV_PAUSE_S = 0.02
BOOT_PAUSE_S = 0.2
MONITOR_PAUSE_S = 0.02
UNIT_PAUSE_S = 0.01
KEXEC_PAUSE_S = 0.01
DRIVERS_PAUSE_S = 0.1
VF_PAUSE_S = 0.01
FILL_PAUSE_S = 0.02
"""Between two looks at what is waited for: the last, between writes that add the VFs that no VM uses."""
