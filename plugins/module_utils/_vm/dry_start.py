# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The result of a dry start of a VM's restore."""

from __future__ import annotations

from dataclasses import dataclass

NAME = "kvmfleet-dry-start"
"""Guest name of a QEMU that is started dry.

It lives for seconds, and is no VM.
"""


@dataclass(frozen=True)
class DryStart:
    """What a dry start found out, while the VM ran on.

    ``problem`` with its ``fix``: why a restore would fail, empty when it would not. ``untried``: reasons why the
    restore, or some of it, was not tried.
    """

    problem: str = ""
    fix: str = ""
    untried: tuple[str, ...] = ()
