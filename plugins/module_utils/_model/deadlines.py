# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Deadlines and pauses on the managed host, in seconds."""

from __future__ import annotations

LOCK_S = 60.0
"""Deadline for another run to release a PF's lock."""

PROGRAM_S = 60.0
"""Deadline for a program (ip, devlink, modprobe); then it is killed."""

SLOW_PROGRAMS_S = {"grub-mkconfig": 600.0, "proxmox-boot-tool": 600.0}
"""The same for programs that look at every volume.

os-prober mounts each; proxmox-boot-tool copies kernels to each EFI system partition.
"""

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

CARRIER_S = 10.0
"""Deadline for the link of an interface that was set up.

Autonegotiation takes 2 to 5 s. A run goes on without a link then, and the driver answers.
"""

BOOT_WAIT_S = 60.0
"""Deadline at boot for late PFs; role sriov, sriov_apply_wait."""

TRANSIENT_S = 10.0
"""Deadline for what is transient, such as a VF in reset.

i40e itself waits 0.3 s for one (i40e_virtchnl_pf.c, i40e_check_vf_init_timeout), and resets of a PF take seconds.
"""

END_SEEN_S = 2.0
"""Deadline for systemd to see a process of a unit end."""

TRANSIENT_PAUSE_S = 0.2
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
