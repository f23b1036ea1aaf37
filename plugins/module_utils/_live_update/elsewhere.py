# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reasons to think that a saved VM was started on another host.

Then its memory is loaded only after the operator's hook has agreed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .._vm.images import UNCHECKED, Image
from .._vm.storage import MEMORY, SHARED
from .._vm.vm_facts import VmFacts
from .claim import Claim
from .finding import Finding
from .options import Options


def doubts(claim: Claim, options: Options, now: float, since_boot: float = 0.0) -> list[str]:
    """Doubts about a saved VM, in words.

    ``now``: seconds since the epoch. A clock that was set, back too, makes the age unknown; ``since_boot``: of another
    kernel than the one that saved it, which is its age at least, whatever the clock says.
    """
    found = shared(claim)
    age = now - claim.saved_at
    age = max(age, since_boot) if age >= 0 else age
    if not abs(age) <= options.restore_within:  # nor is it known of a time that is no number
        found.append(
            f"its state is {age:.0f} s old by this host's clocks, restore_within is {options.restore_within:g} s"
        )
    return found


def of_start(claim: Claim, options: Options, now: float, since_boot: float = 0.0) -> list[str]:
    """Doubts about a start of a VM from its disks.

    The age of its memory is none of them, unless it has no disk that is known: then any host could have started it.
    """
    return shared(claim) if claim.images else doubts(claim, options, now, since_boot)


def shared(claim: Claim) -> list[str]:
    """Images of a saved VM that other hosts may use, in words.

    They are a doubt about every start, from its disks too.
    """
    return [f"image {image.name} {why}" for image in claim.images for why in _doubtful(image)]


def check(vms: Sequence[VmFacts], options: Options, outage_s: float) -> Iterator[Finding]:
    """Find the VMs that a resume would not start by itself.

    ``outage_s``: as estimated.
    """
    for vm in vms:
        for image in vm.images:
            who = f"VM {vm.name} (process {vm.pid}): image {image.name}"
            if image.storage == MEMORY:
                yield Finding("image-volatile", f"{who} is in memory, which a kexec empties", "put it on a disk")
            for why in _doubtful(image) if not options.confirm_not_elsewhere else ():
                yield Finding("elsewhere", f"{who} {why}", "set confirm_not_elsewhere")
    if vms and outage_s > options.restore_within and not options.confirm_not_elsewhere:
        yield Finding(
            "restore-within",
            f"the outage is estimated at {outage_s:g} s, states are loaded within {options.restore_within:g} s only",
            "raise restore_within, or set confirm_not_elsewhere",
        )


def warnings(vms: Sequence[VmFacts], options: Options) -> Iterator[Finding]:
    """Find the images that are loaded upon without being compared."""
    for vm in vms if options.confirm_not_elsewhere else ():
        for image in vm.images:
            if image.kind == UNCHECKED:
                yield Finding(
                    "image-not-compared",
                    f"VM {vm.name} (process {vm.pid}): image {image.name} cannot be compared before memory is loaded",
                    "see that confirm_not_elsewhere fails where somebody has written to it, or use a disk of this host",
                )


def not_compared(claim: Claim) -> list[str]:
    """Names of a saved VM's images that nothing can be said about."""
    return [image.name for image in claim.images if image.kind == UNCHECKED]


def _doubtful(image: Image) -> Iterator[str]:
    if image.storage == SHARED:
        yield "is on shared storage, where another host could have started the VM"
    elif image.kind == UNCHECKED:
        yield "is no file and no disk that could be compared"
