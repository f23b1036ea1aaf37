# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for the boot of a new kernel, which nobody watches. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator

from .._model.command_line import parameters
from .._model.update_deadlines import PANIC_S
from . import after_failure, lost_volumes, passphrases, watchdog_plan
from .facts import Facts
from .finding import Finding
from .options import Options


def check(facts: Facts, options: Options) -> Iterator[Finding]:
    """Refusals, each with its fix."""
    yield from passphrases.check(facts.locked, options.allow_passphrase)
    yield from lost_volumes.check(facts.lost)
    yield from watchdog_plan.check(facts.watchdogs, facts.modules.available, options)
    if options.panic == "refuse":
        yield from _panic(facts)
    if options.boot_default == "refuse":
        yield from after_failure.findings(facts.after_failure)
    if options.rollback != "report" and facts.kernel.no_way_back is not None:
        yield Finding(
            "no-way-back",
            f"nothing would lead back to kernel {facts.kernel.running}, as live_update_rollback: {options.rollback} "
            f"asks for: {facts.kernel.no_way_back}",
            "install that kernel again, or set live_update_rollback: report",
        )


def warnings(facts: Facts, options: Options) -> Iterator[Finding]:
    yield from passphrases.warnings(facts.locked, options.allow_passphrase)
    yield from watchdog_plan.warnings(facts.watchdogs, facts.modules.available, options)
    if options.panic != "refuse":
        yield from _panic(facts)
    if options.boot_default != "refuse":
        yield from after_failure.findings(facts.after_failure)


def _panic(facts: Facts) -> Iterator[Finding]:
    """A finding where a panic would not soon lead back.

    To the boot default, that is.

    Documentation/admin-guide/kernel-parameters.txt: 0 waits for ever, below 0 resets at once.
    """
    seconds = panic_s(facts.kernel.cmdline_after)
    if seconds == 0 or seconds > PANIC_S:
        how_long = "for ever" if seconds == 0 else f"{seconds} s"
        yield Finding(
            "panic",
            f"a panic of the new kernel would leave the host hanging {how_long}: its command line has panic={seconds}",
            f"set panic=30 in live_update_command_line, or anything up to {PANIC_S}",
        )


def panic_s(cmdline: str) -> int:
    """Seconds from a panic to the reset; the last word counts.

    A value that the kernel does not understand counts as none, as does a missing one: that waits for ever.
    """
    values = [word.partition("=")[2] for word in parameters(cmdline) if word.startswith("panic=")]
    return int(values[-1]) if values and re.fullmatch(r"-?\d{1,9}", values[-1], re.ASCII) else 0
