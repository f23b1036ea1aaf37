# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What starts when the new kernel fails.

The boot default, and what waits to be tried. A panic, a reset or a power cut leads through the firmware to it, and
nobody watches.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from .._boot import loaders, proof
from .._boot.answer import Start
from .._boot.unknown import UnknownBootError
from .._model.errors import SriovError
from .._system.process import Run
from .._system.sysfs import Sysfs
from .finding import Finding

ANYWAY = "or set boot_default: warn in live_update_options"


@dataclass(frozen=True)
class Boot:
    """A kernel that would start.

    ``doubt`` is why it is not known to boot.
    """

    when: str
    entry: str
    kernel: str | None
    doubt: str | None


@dataclass(frozen=True)
class AfterFailure:
    """What the boot loader starts.

    ``unknown``: why that is not known; ``waits``: it waits for a person at each boot.
    """

    boots: tuple[Boot, ...] = ()
    unknown: str | None = None
    waits: bool = False


def read(sysfs: Sysfs, run: Run) -> AfterFailure:
    """Ask the boot loader.

    What goes wrong there is an answer that is not known.
    """
    try:
        answer = loaders.find(sysfs, run).answer()
        boots = [_boot(sysfs, "the default", answer.default)]
        if answer.next.kernel != answer.default.kernel:
            boots.insert(0, _boot(sysfs, "the next boot", answer.next))
    except UnknownBootError as error:
        return AfterFailure(unknown=str(error))
    except SriovError as error:
        return AfterFailure(unknown=f"the boot loader could not be read: {error}")
    return AfterFailure(tuple(boots), waits=answer.waits)


def _boot(sysfs: Sysfs, when: str, start: Start) -> Boot:
    return Boot(when, start.entry, start.kernel, proof.doubt(sysfs, start))


def findings(facts: AfterFailure) -> Iterator[Finding]:
    """What would not lead back to a proven kernel, with fixes."""
    if facts.unknown is not None:
        problem = f"what starts when the new kernel fails is not known: {facts.unknown}"
        yield Finding("boot-unknown", problem, f"make it readable (module boot_entry says the same), {ANYWAY}")
    for boot in facts.boots:
        if boot.doubt is not None:
            yield Finding(
                "boot-unproven",
                f"{boot.when} is {boot.kernel or boot.entry}, which starts when the new kernel fails: {boot.doubt}",
                "set one that has booted: ansible HOST --become -m kvmfleet.sriov.boot_entry -a 'default=RELEASE "
                f'once=""\', {ANYWAY}',
            )
    if facts.waits:
        problem = "the boot loader waits for a person at each boot, so a reset would leave the host hanging"
        yield Finding("boot-waits", problem, f"give its menu a timeout (GRUB_TIMEOUT), {ANYWAY}")
