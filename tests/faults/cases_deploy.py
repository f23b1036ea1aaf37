# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Power cuts at each step of acts of a deployment."""

from __future__ import annotations

from .deploy import Deployment

INSTALLED = ("keep_default", "install")
TRIED = (*INSTALLED, "arm", "boot")
CASES = (
    Deployment("deploy_cut_keep", "power cut while the default is kept on the host", (), "keep_default"),
    Deployment("deploy_cut_install", "power cut while the packages are installed", ("keep_default",), "install"),
    Deployment("deploy_cut_arm", "power cut while a trial is armed", INSTALLED, "arm"),
    Deployment("deploy_cut_withdraw", "power cut while a trial is withdrawn", (*INSTALLED, "arm"), "withdraw"),
    Deployment("deploy_cut_judge", "power cut while the guard judges the kernel that is tried", TRIED, "judge"),
    Deployment("deploy_cut_watch", "power cut while the guard goes back", TRIED, "watch"),
    Deployment("deploy_cut_back", "power cut in the old kernel, while the guard ends the trial",
               (*TRIED, "boot"), "watch"),
    Deployment("deploy_cut_confirm", "power cut while the kernel becomes the default", (*TRIED, "judge"), "confirm"),
)  # fmt: skip
