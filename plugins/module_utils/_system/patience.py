# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Answers of the kernel that pass by themselves.

Drivers give them while a VF or a PF is in reset (i40e_check_vf_init_timeout: EAGAIN, "VF %d still in reset. Try
again."; ice_check_vf_ready_for_cfg and iavf: EBUSY), and the kernel while something interrupts it.
"""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable
from typing import TypeVar

from .._model.deadlines import TRANSIENT_PAUSE_S, TRANSIENT_S
from .._model.errors import KernelError, PropertyError, SriovError, ToolError

_Value = TypeVar("_Value")

_PASSING = (errno.EAGAIN, errno.EINTR)
_BUSY_FILES = ("mtu", "drivers_probe", "bind")
"""Files of which EBUSY has no other meaning (`errno_hints`)."""
_TEXTS = re.compile(r"try again|temporarily unavailable|resource busy|in reset|interrupted", re.IGNORECASE)
"""Texts of EAGAIN, EBUSY and EINTR, and words of drivers."""


_REMOVING = ("sriov_numvfs_no_scan", "sriov_remove_vf_id")
"""Files of the series whose removal comes before a driver's refusal.

Each try would take the VFs away again.
"""


def is_transient(error: SriovError) -> bool:
    """Whether the same may go well in a moment.

    The ``cause`` decides about an error after an undo.
    """
    error = getattr(error, "cause", error)
    if isinstance(error, KernelError):
        name = os.path.basename(error.path)
        busy = error.errno == errno.EBUSY and name in _BUSY_FILES
        removes = name in _REMOVING and (name != _REMOVING[0] or error.value == "0")
        return busy or (error.errno in _PASSING and not removes)
    return isinstance(error, (PropertyError, ToolError)) and bool(_TEXTS.search(str(error)))


class Patience:
    """Tries transient failures again, for ``TRANSIENT_S`` seconds.

    After each that did not pass, for half as long, so that an undo of many steps does not take for ever.
    """

    def __init__(self) -> None:
        self.seconds = TRANSIENT_S

    def again(self, act: Callable[[], _Value], error: SriovError) -> _Value:
        """Result of ``act``, which has failed with ``error``.

        Raises its last error, at once when that is not transient.
        """
        until = time.monotonic() + self.seconds
        while is_transient(error):
            if time.monotonic() >= until:
                self.seconds /= 2
                break
            time.sleep(TRANSIENT_PAUSE_S)
            try:
                return act()
            except (KernelError, ToolError) as next_one:
                error = next_one
        raise error
