# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Ends of VMs that nobody here has ended.

A guest that its user shuts down stays down; one that was killed may be started again, where the operator allows that.
"""

from __future__ import annotations

from dataclasses import dataclass

from .._model.errors import SriovError


@dataclass(frozen=True)
class Ending:
    """Why a VM has ended, in words.

    ``crashed``: nobody wanted it: its process was killed, or failed.
    """

    why: str
    crashed: bool = False


UNKNOWN = Ending("it ended, and nothing says why")


class EndedError(SriovError):
    """The end of a VM while something was done with it."""

    def __init__(self, ending: Ending) -> None:
        super().__init__(ending.why)
        self.ending = ending


class StandsError(SriovError):
    """A VM that stands still, and not because of us.

    Its user has paused it, or QEMU has, for an I/O error for example.
    """
