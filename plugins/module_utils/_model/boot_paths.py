# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths of what a host keeps about the kernels that it boots."""

from __future__ import annotations

PROVEN = "/var/lib/kvmfleet-sriov/boot/proven.json"
"""Builds of kernels that were seen to boot (`_boot.proven`)."""

DEFAULT = "/var/lib/kvmfleet-sriov/boot/default.json"
"""The kernel that is to start by default (`_boot.kept`)."""

TRIAL = "/var/lib/kvmfleet-sriov/boot/trial.json"
"""The kernel that is tried once (`_boot.trial`)."""

DEPLOYED = "/var/lib/kvmfleet-sriov/boot/deployed"
"""List of the releases that role kernel_deploy has installed."""

COUNTING = "/var/lib/kvmfleet-sriov/boot/tries"
"""How often boots of an entry may fail.

/etc/kernel/tries is a link to it while role kernel_deploy installs.
"""

DRAINED = "/var/lib/kvmfleet-sriov/boot/drained"
"""Note of role kernel_deploy that the host is drained."""

GUARDED = "/run/kvmfleet-sriov/boot-guard"
"""Folder that is there once the guard of a trial has started."""

TRIAL_LOCK = "/run/kvmfleet-sriov/boot-trial.lock"

ESP_COPIES = "/run/kvmfleet-sriov/esps"
"""Folder for ESPs of Proxmox's boot tool, mounted to be read."""
