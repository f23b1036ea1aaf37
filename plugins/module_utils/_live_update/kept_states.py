# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Saved states of VMs, perhaps all that is left of their memory."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection

from .._model.errors import BadInputError, KernelError, RefusedError, SriovError
from .._model.paths import LIVE_UPDATE
from .._model.update_paths import LIVE_UPDATE_DISCARDED
from .._system import durable
from . import claim as _claim
from .ended import was_killed
from .machine import LiveHost

KEEP_S = 7 * 86400.0
"""Time that a discarded state is kept aside, in seconds."""


def needed(host: LiveHost) -> list[str]:
    """Names of VMs that were not seen to run from their state.

    Those with a damaged claim among them.
    """
    return [name for name in touched(host) if _is_needed(host, name)]


def touched(host: LiveHost) -> list[str]:
    """Names of VMs with which anything was done, each has a claim."""
    return host.sysfs.names(f"{LIVE_UPDATE}/vms")


def require_none(host: LiveHost, besides: Collection[str] = ()) -> None:
    """Raise `RefusedError` while states are needed, with the ways out."""
    left = [name for name in needed(host) if name not in besides]
    gone = [name for name in left if _was_killed(host, name)]
    if left and left == gone:
        raise RefusedError(
            f"VM {', '.join(gone)}: nothing of its memory is kept, and it was not seen to run since: "
            f"`sriovctl live-update forget --discard-memory {gone[0]}` forgets it, then start it from its disks"
        )
    if left:
        raise RefusedError(
            f"the saved states of {', '.join(left)} would be lost, these VMs were not seen to run from them: "
            "`sriovctl live-update restore` brings them back, `sriovctl live-update forget --discard-memory NAME` "
            "gives up the memory of one"
        )


def require_known(host: LiveHost, names: Collection[str]) -> None:
    """Raise `BadInputError` for a name that has no state here."""
    unknown = sorted(set(names) - set(touched(host)))
    if unknown:
        raise BadInputError(f"VM {unknown[0]} has no saved state here; there are: {', '.join(needed(host)) or 'none'}")


def discard(host: LiveHost, names: Collection[str]) -> None:
    """Move states of VMs aside, where they are kept for `KEEP_S`.

    Raises `BadInputError` for a name that has none, before any is moved.
    """
    require_known(host, names)
    aside = host.sysfs.real(LIVE_UPDATE_DISCARDED)
    durable.make_private_folder(aside)
    delete_old(host)
    for name in sorted(names):
        target = os.path.join(aside, f"{name}-{host.now():.0f}")
        try:
            os.rename(host.folder.vm(name), target)
        except OSError as error:
            raise KernelError("move", host.folder.vm(name), error.errno or 0) from error
        host.log(f"VM {name}: its state is given up; it stays in {target} for {KEEP_S / 86400:g} days")
    durable.sync_folder(aside)


def delete(host: LiveHost, names: Collection[str]) -> None:
    """Delete states of VMs, their claims first.

    A state without a claim is nothing that anybody would load.
    """
    for name in sorted(names):
        durable.remove(_claim.path(host.folder.vm(name)))
        durable.remove_tree(host.folder.vm(name))
        host.log(f"VM {name}: its state is forgotten")


def of_all(host: LiveHost) -> dict[str, str]:
    """States of all VMs' claims by name, as people read them."""
    found = {}
    for name in touched(host):
        try:
            claim = _claim.load(host.folder.vm(name))
        except SriovError:
            found[name] = "its claim is damaged"
            continue
        if claim is not None:
            found[name] = claim.state
    return found


def delete_old(host: LiveHost) -> None:
    """Delete states that were given up longer than `KEEP_S` ago."""
    for name in host.sysfs.names(LIVE_UPDATE_DISCARDED):
        path = os.path.join(host.sysfs.real(LIVE_UPDATE_DISCARDED), name)
        if host.now() - os.lstat(path).st_ctime > KEEP_S:
            shutil.rmtree(path, ignore_errors=True)


def _was_killed(host: LiveHost, name: str) -> bool:
    """Whether a VM was gone before it was saved, by its claim."""
    try:
        return was_killed(_claim.load(host.folder.vm(name)))
    except SriovError:
        return False


def _is_needed(host: LiveHost, name: str) -> bool:
    """Whether a VM's state may be all that is left of it.

    A damaged claim does not show the contrary, nor does one that was running the moment before its guest was. Of one
    that was not saved, or ended before, there is none.
    """
    try:
        claim = _claim.load(host.folder.vm(name))
    except SriovError:
        return True
    return claim is not None and _claim.STATES[claim.state].needed
