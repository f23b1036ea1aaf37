# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The path of a live update, step by step.

Each step is what controller, systemd or firmware would run; a process that ends early is
followed by what follows on a real host.
"""

from __future__ import annotations

import functools
from collections.abc import Callable

from .checks import at_end, at_rest
from .edges import HOLD
from .fault import NEW, OLD, PANIC
from .played_systemd import RUN_UNIT
from .session import CUT, JUMPED, CaseError, Outcome, Session


def walk(session: Session) -> None:
    """Drive the case from its host's first boot to its end."""
    session.start()
    if _armed(session):
        outcome = _run(session)
        if outcome.kind in (JUMPED, CUT):
            _boots(session, outcome)
    at_rest(session)
    for typed in session.fault.typed:
        words = typed.words
        found = _step(session, words, functools.partial(session.sriovctl, words))
        if found.kind in (JUMPED, CUT):
            _boots(session, found)
        elif found.status != typed.status or typed.says not in found.text:
            raise CaseError(
                f"'sriovctl {typed.words}' ended with status {found.status}, not {typed.status}, or did not say "
                f"'{typed.says}': {found.text[-600:]}"
            )
        at_rest(session)
    _require_struck(session)
    at_end(session)


def _armed(session: Session) -> bool:
    """Arm and start; whether there is something to run."""
    outcome = _step(session, "arm", lambda: session.arm(step="arm"))
    if outcome.kind == CUT:
        _boots(session, outcome)
        return False
    return (session.folder / RUN_UNIT).exists()


def _run(session: Session) -> Outcome:
    """The unit of the run; its ExecStopPost where it did not jump."""
    outcome = _step(session, "run", lambda: session.sriovctl("live-update run", "run"))
    if outcome.kind not in (JUMPED, CUT):
        outcome = _step(session, "recover", lambda: session.sriovctl("live-update recover", "recover"))
        (session.folder / RUN_UNIT).unlink(missing_ok=True)
    return outcome


def _boots(session: Session, outcome: Outcome) -> None:
    """Boot the kernels of the case, as long as one follows another."""
    kernels = list(session.fault.lands)
    while True:
        kernel = kernels.pop(0) if kernels else NEW if outcome.kind == JUMPED else OLD
        session.boot(kernel)
        if kernel != PANIC:
            outcome = _units(session)
        if outcome.kind != CUT and not kernels:
            return


def _units(session: Session) -> Outcome:
    """The units of a boot: resume, by the command line, then come-back."""
    outcome = Outcome("", 0, "")
    if "kvmfleet.update=" in (session.folder / "root/proc/cmdline").read_text():
        outcome = _step(session, "resume", lambda: session.sriovctl("resume", "resume"))
    if outcome.kind != CUT and session.status() is not None:
        outcome = _step(session, "come-back", lambda: session.sriovctl("live-update come-back", "come-back"))
    return outcome


def _step(session: Session, name: str, act: Callable[[], Outcome]) -> Outcome:
    before = session.fault.before.get(name)
    if before is not None:
        before(session)
    return act()


def _require_struck(session: Session) -> None:
    """Require that each fault happened.

    A case whose fault never strikes shows nothing."""
    for step in {strike.step for strike in session.fault.strikes}:
        for number, strike in enumerate(one for one in session.fault.strikes if one.step == step):
            if strike.do != HOLD and not (session.folder / f"struck-{step}-{number}").exists():
                raise CaseError(f"its fault did not happen: {strike.do} {strike.when} '{strike.at}' during {step}")
