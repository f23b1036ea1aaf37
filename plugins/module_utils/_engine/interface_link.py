# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A PF's network interface, set up or down."""

from __future__ import annotations

import time

from .._model.actions import SetLink
from .._model.deadlines import CARRIER_S, LINK_PAUSE_S
from .._model.errors import DeadlineError, KernelError, PropertyError, SriovError, VerifyError
from .._model.settings import DOWN
from .._model.state import PfState
from .._readers import details, netdevs
from .._system.process import Run
from .._system.sysfs import Sysfs


def set_link(sysfs: Sysfs, run: Run, action: SetLink) -> None:
    """Set the interface up or down, by its present name.

    Raises `ToolError` of ``ip``, `DeadlineError` without an interface. A link that does not come is no error.
    """
    found = netdevs.paths(sysfs, action.folder)
    if not found:
        raise DeadlineError(f"there is no network interface in {action.folder}/net to set {action.link}")
    run(("ip", "link", "set", "dev", found[0].rpartition("/")[2], action.link))
    until = time.monotonic() + CARRIER_S
    while action.carrier and not _has_carrier(sysfs, found[0]) and time.monotonic() < until:
        time.sleep(LINK_PAUSE_S)


def hint(sysfs: Sysfs, pf: PfState, cause: SriovError) -> str:
    """The interface that is down, as a reason of ``cause``, or nothing."""
    if not pf.netdev or not isinstance(cause, (PropertyError, VerifyError)):
        return ""
    try:
        down = details.read_link(sysfs, pf.address, pf.netdev) == DOWN
    except KernelError:
        return ""
    text = "is down, and some drivers enable no VFs and set no properties then: declare link: up"
    return f" ({pf.netdev} {text})" if down else ""


def _has_carrier(sysfs: Sysfs, path: str) -> bool:
    """Whether an interface has a link; unreadable while it is down."""
    try:
        return sysfs.read(f"{path}/carrier") == "1"
    except KernelError:
        return False
