# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Hosts that an HA manager held, and may start VMs of elsewhere.

The manager is played: another QEMU with the VM's disk, on what counts as another host.
"""

from __future__ import annotations

from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.update_folder import ABANDONED

from . import others
from .edges import AFTER, PAUSE, Strike
from .fault import BOTH, GIVEN_UP, MEMORY, OLD, PANIC, Fault, Typed
from .session import CaseError, Session

HELD = {"hold_s": 2000.0}
RESTORE = "live-update restore --take-over"
CONFIRMED = f"{RESTORE} web1 db1 --confirm-not-elsewhere"
REFUSED = Typed(f"{RESTORE} web1", 1, "could have been started elsewhere")


def since_boot(seconds: int) -> others.Act:
    """The host's time since its boot, which no clock changes."""
    return lambda session: session.host().put("/proc/uptime", f"{seconds}.00 1.00\n")


def abandons(session: Session) -> None:
    """The controller abandons the host."""
    outcome = session.sriovctl("live-update abandon")
    if outcome.status or "the host is abandoned" not in outcome.text:
        raise CaseError(f"the host was not abandoned: {outcome.text[-500:]}")


def is_abandoned(session: Session) -> None:
    """The same, as far as it comes during an act."""
    (session.folder / "root/var/lib/kvmfleet-sriov/live-update" / ABANDONED).write_text("{}")


CASES = (
    Fault("hold_lasts", "an HA manager holds the host long enough", BOTH, "done", options=HELD,
          before={"resume": since_boot(9)}),
    Fault("hold_expired", "its hold has expired when the new kernel is there", BOTH, "done", options=HELD,
          before={"resume": since_boot(3000)}, typed=(REFUSED, Typed(CONFIRMED))),
    Fault("hold_too_short", "a restore could outlast what is left of it", BOTH, "done", options=HELD,
          before={"resume": since_boot(1980)}, typed=(REFUSED, Typed(CONFIRMED))),
    Fault("hold_expired_after_panic", "its hold has expired after a panic of the new kernel", BOTH, "failed",
          options=HELD, lands=(PANIC, OLD), before={"come-back": since_boot(3000)},
          typed=(REFUSED, Typed(CONFIRMED, 1))),
    Fault("abandoned", "the host is abandoned during the jump", BOTH, "done",
          before={"resume": abandons}, typed=(REFUSED, Typed(CONFIRMED))),
    Fault("abandoned_started_elsewhere", "it is abandoned, and the HA manager starts a VM elsewhere",
          {"web1": GIVEN_UP, "db1": MEMORY}, "failed",
          before={"resume": others.all_of(abandons, others.elsewhere("web1"))},
          typed=(REFUSED, Typed(CONFIRMED, 1, "not loaded"))),
    Fault("abandoned_in_load", "it is abandoned while a VM's state is loaded", BOTH, "done",
          strikes=(Strike("resume", "monitor web1 device_add", PAUSE),), meanwhile=is_abandoned,
          typed=(REFUSED, Typed(CONFIRMED))),
    Fault("abandoned_when_saved", "it is abandoned when a VM is saved, and does not jump", BOTH, "aborted",
          strikes=(Strike("run", "file web1/claim.json saved", PAUSE, AFTER),), meanwhile=is_abandoned,
          typed=(REFUSED, Typed(CONFIRMED))),
    Fault("abandoned_before_save", "it is abandoned while guests run", BOTH, "aborted",
          strikes=(Strike("run", "file status.json unplugging", PAUSE, AFTER),), meanwhile=is_abandoned),
)  # fmt: skip
