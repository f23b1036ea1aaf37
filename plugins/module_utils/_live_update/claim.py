# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Claims of saved VMs: the right to start each once.

`STATES` is the table of docs/live_update.md, "Never lost, never doubled". Each state is durable before the act that
follows it: unsaved before anything is done with a VM, claimed (boot id and unit) before a start, running before the
guest's first instruction.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

from .._model.errors import BadInputError, RefusedError
from .._system import durable
from .._vm import images as _images
from .._vm.images import Image
from .._vm.state_file import Fingerprint

SCHEMA = 3
"""Version of a claim's form.

1 had no images, so nobody could tell whether its memory fits them; 2 not how the state is written.
"""
SAVED, CLAIMED, FAILED, RUNNING, ACKNOWLEDGED = "saved", "claimed", "failed", "running", "acknowledged"
UNSAVED, ENDED = "unsaved", "ended"


@dataclass(frozen=True)
class State:
    """What a state of a claim says, and which may follow it.

    ``loadable``: the guest has executed nothing since its save, so that its state may be loaded again once no process
    of it lives, under any boot id; else it is history, which nothing loads. ``seen``: the guest was seen to run;
    ``empty``: nothing of its memory is kept, as it ran until its host went down, or until it ended by itself.
    """

    then: tuple[str, ...]
    loadable: bool = False
    seen: bool = False
    empty: bool = False

    @property
    def needed(self) -> bool:
        """Whether the state may be all that is left of the VM."""
        return not self.seen and not self.empty


STATES: dict[str, State] = {
    UNSAVED: State((SAVED, RUNNING, ENDED), empty=True),
    ENDED: State((), empty=True),
    SAVED: State((CLAIMED,), loadable=True),
    CLAIMED: State((CLAIMED, RUNNING, FAILED), loadable=True),
    FAILED: State((CLAIMED,), loadable=True),
    RUNNING: State((RUNNING, FAILED, ACKNOWLEDGED)),
    ACKNOWLEDGED: State((RUNNING,), seen=True),
}
"""All states of a claim.

Running follows itself, and acknowledged, where a VM whose memory is gone starts from its disks.
"""
NO_BOOT = ""
"""Boot id of a VM that was ended without a state."""

# What to do with a VM; see decide().
START, ADOPT, COLD_START, NOTHING, LOST, CONFLICT, KEEP = (
    "start", "adopt", "cold-start", "nothing", "lost", "conflict", "keep",
)  # fmt: skip

NUMBERS: dict[str, tuple[type, ...]] = {
    "time": (int, float), "paused_at": (int, float), "saved_at": (int, float), "form": (dict,),
}  # fmt: skip
"""Members of a claim that are no text."""


@dataclass(frozen=True)
class Claim:
    """One VM's claim.

    ``boot_id``: of the kernel that wrote the last step, or `NO_BOOT`; ``unit``: the service that runs, or will run, it.
    ``images``: as they were when it was saved; ``form``: how its backend wrote the state, for that alone.
    """

    manifest: str
    vm: str
    state: str
    boot_id: str
    unit: str
    time: float
    fingerprint: Fingerprint
    paused_at: float
    saved_at: float
    images: tuple[Image, ...] = ()
    form: Mapping[str, Any] = field(default_factory=dict)
    error: str | None = None


def advance(claim: Claim, state: str, boot_id: str, time: float, error: str | None = None) -> Claim:
    """Advance a claim by one step.

    Raises `RefusedError` for a step that `STATES` does not have.
    """
    if state not in STATES[claim.state].then:
        raise RefusedError(f"VM {claim.vm}: its claim is {claim.state}, it cannot become {state}")
    return replace(claim, state=state, boot_id=boot_id, time=time, error=error)


def decide(claim: Claim | None, manifest: str, boot_id: str, live: bool, cold_start: bool, again: bool = False) -> str:
    """Decide the action for a VM from its claim.

    ``live``: a QEMU of this name runs now; ``cold_start``: the operator's policy; ``again``: failed restores are tried
    once more.

    start: from its state file. adopt: finish what an interrupted restore began, never start a second. cold-start:
    memory gone, policy allows it. lost: memory gone, an operator decides. conflict: somebody else started it. keep: its
    restore failed, state kept. nothing: it runs or is finished.
    """
    if claim is None or claim.state == ENDED:
        return NOTHING
    if claim.manifest != manifest:
        return CONFLICT if live else LOST
    same = claim.boot_id == boot_id
    if claim.state == CLAIMED and same and live:
        return ADOPT
    if STATES[claim.state].loadable:
        return CONFLICT if live else KEEP if claim.state == FAILED and not again else START
    if same and claim.state == UNSAVED:
        return NOTHING
    if same:
        return ADOPT if live else NOTHING
    if live:
        return CONFLICT
    return COLD_START if cold_start else LOST


def path(vm_folder: str) -> str:
    return os.path.join(vm_folder, "claim.json")


def load(vm_folder: str) -> Claim | None:
    """Read the claim in a VM's folder, None without one.

    Raises `BadInputError` for a file that is not a whole claim of this schema.
    """
    file = path(vm_folder)
    data = durable.read_json(file)
    if data is None:
        return None
    durable.require_private(file)
    schema = data.pop("schema", None)
    if schema != SCHEMA:
        raise BadInputError(
            f"{file}: schema {str(schema)[:20]}, this version knows {SCHEMA}; finish that update with the version that "
            "saved the VM, or start the VM from its disks"
        )
    return _from_dict(file, data)


def _from_dict(file: str, data: dict[str, Any]) -> Claim:
    names = {field.name for field in fields(Claim)}
    if set(data) != names:
        raise BadInputError(f"{file}: not a claim: keys {sorted(set(data) ^ names)}")
    data["images"] = _images.parse(data["images"], f"{file}.images")
    data["fingerprint"] = Fingerprint.parse(data["fingerprint"], f"{file}.fingerprint")
    for name, value in data.items():
        if name in ("images", "fingerprint"):
            continue
        kinds = NUMBERS.get(name, (str,)) if name != "error" else (str, type(None))
        if not isinstance(value, kinds) or isinstance(value, bool):
            raise BadInputError(f"{file}.{name}: {value!r} is not {' or '.join(kind.__name__ for kind in kinds)}")
    if data["state"] not in STATES:
        raise BadInputError(f"{file}.state: '{data['state']}' is no state of a claim")
    return Claim(**data)


def store(vm_folder: str, claim: Claim) -> Claim:
    """Make the claim durable before anything that it announces happens.

    The file is synced and renamed, then its folder synced.
    """
    durable.write_json(path(vm_folder), {"schema": SCHEMA, **asdict(claim)})
    return claim
