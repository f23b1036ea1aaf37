# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Memory of a saved VM, required as it was sealed.

A part of it, or that of another save, would be a guest that destroys its own disks.
"""

from __future__ import annotations

from .._model.errors import RefusedError, SriovError
from .._vm import state_file
from .._vm.record import ManifestVm
from .claim import Claim
from .machine import LiveHost


def require_whole(host: LiveHost, vm: ManifestVm, claim: Claim) -> None:
    """Require the very state that the claim speaks for.

    Raises `RefusedError`, with the way out: it is not started from its disks by itself, as the state may be put back.
    """
    try:
        state_file.verify(host.folder.state(vm.name), claim.fingerprint)
    except SriovError as error:
        raise RefusedError(f"VM {vm.name}: its memory is not loaded: {error}; {without(vm, claim)}") from error


def without(vm: ManifestVm, claim: Claim) -> str:
    """What a person can do with a VM whose memory is lost."""
    disks = "from its disks" if claim.images else "anew, as it has no disk that is known here"
    return f"`sriovctl live-update forget --discard-memory {vm.name}` forgets it, then start it {disks}"
