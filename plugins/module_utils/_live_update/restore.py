# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restoring saved VMs, each at most once.

The claim decides, whatever was interrupted before; the backend acts.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from .._model.errors import BadInputError, RefusedError, SriovError
from .._vm.backend import NeverRanError
from .._vm.image_writers import OpenFiles
from .._vm.record import ManifestVm
from . import claim as _claim
from . import elsewhere, ha_hold, saved_disks, saved_memory
from .claim import Claim
from .ended import WITH_HOST
from .machine import FAILURES, LiveHost
from .manifest import Manifest
from .options import parse
from .status import Progress

MESSAGES = {
    _claim.LOST: "its memory is gone: it needs a cold start; {way}",
    _claim.CONFLICT: "another VM of this name runs already: it is left alone, the saved state is kept; if it is the VM "
    "itself, `sriovctl live-update forget --discard-memory {name}` forgets that state",
    _claim.KEEP: "its restore failed before and its state is kept; `sriovctl live-update restore {name}` tries again",
}
"""Why nothing is done with a VM, with the way out."""
DAMAGED = (
    "whether the VM ran since its save is unknown, so it is not started: `sriovctl live-update forget "
    "--discard-memory {}` moves its state aside, then start it from its disks"
)
"""Advice for a VM, by name, whose claim cannot be read."""


@dataclass(frozen=True)
class Restorer:
    """Restorer of one manifest's VMs under the running kernel ``boot_id``.

    ``again``: restores that have failed before are tried once more. ``cold``: names of VMs that start from their disks
    by the operator's policy, whatever of their memory is left; ``confirmed``: names of VMs of which a person has said
    that they run nowhere else.
    """

    host: LiveHost
    manifest: Manifest
    progress: Progress
    boot_id: str
    again: bool = False
    cold: Collection[str] = ()
    confirmed: Collection[str] = ()
    files: OpenFiles = field(default_factory=OpenFiles)

    def restore(self, vm: ManifestVm) -> bool:
        """Restore a VM; True when it runs.

        Else its result has the reason: a failure of this VM alone never raises.
        """
        try:
            result = self._restore(vm)
        except FAILURES as error:
            if isinstance(error, saved_disks.ChangedError):
                self._withhold(vm)
            self.failed(vm, error)
            return False
        self.progress.update_vm(vm.name, **result)
        self.host.log(f"VM {vm.name}: {result['result']}")
        return result["result"] in ("restored", "cold-started")

    def _withhold(self, vm: ManifestVm) -> None:
        try:
            self.host.backend(vm).withhold(vm)
        except FAILURES as error:
            self.host.log(f"VM {vm.name}: others may still load its memory: {error}")

    def failed(self, vm: ManifestVm, error: Exception) -> None:
        self.host.log(f"VM {vm.name}: {error}")
        self.progress.update_vm(vm.name, result="failed", error=str(error))

    def claim(self, vm: ManifestVm) -> Claim | None:
        """Read a VM's claim; a damaged one concerns it alone."""
        try:
            return _claim.load(self.host.folder.vm(vm.name))
        except SriovError as error:
            raise BadInputError(f"{error}; {DAMAGED.format(vm.name)}") from error

    def _restore(self, vm: ManifestVm) -> dict[str, object]:
        claim = self.claim(vm)
        live = self.host.pid(vm) is not None
        again = self.again or vm.name in self.cold
        action = _claim.decide(claim, self.manifest.id, self.boot_id, live, vm.cold_start, again)
        if action == _claim.ADOPT and not self.host.backend(vm).is_own(vm):
            action = _claim.CONFLICT
        if action == _claim.CONFLICT and claim is not None and self._was_loaded(vm, claim):
            return self._from_state(vm, self._advance(vm, claim, _claim.CLAIMED), start=False)
        if claim is None:
            raise RefusedError(f"VM {vm.name} was never saved: nothing can be restored")
        if action == _claim.LOST and claim.state == _claim.UNSAVED:
            raise RefusedError(f"VM {vm.name}: {WITH_HOST}, as it was armed without cold_start: true")
        if action in MESSAGES:
            why = MESSAGES[action].format(name=vm.name, way=saved_memory.without(vm, claim))
            raise RefusedError(f"VM {vm.name}: {why}")
        if action == _claim.NOTHING:
            return {"result": "ended", "error": claim.error}
        cold = action == _claim.COLD_START or (action == _claim.START and vm.name in self.cold)
        self._confirm(vm, self._doubts(claim, live, cold))
        if cold:
            return self._cold_start(vm, claim)
        return self._from_state(vm, claim, start=action == _claim.START)

    def _was_loaded(self, vm: ManifestVm, claim: Claim) -> bool:
        """Whether a VM runs from this state, which others have loaded."""
        mine = claim.manifest == self.manifest.id and _claim.STATES[claim.state].loadable
        return mine and self.host.backend(vm).continues(vm)

    def _from_state(self, vm: ManifestVm, claim: Claim, start: bool) -> dict[str, object]:
        state = self.host.folder.state(vm.name)
        if start:
            self.host.backend(vm).ready(vm)
            saved_memory.require_whole(self.host, vm, claim)
            saved_disks.require_unchanged(self.host, vm, claim)
            claim = self._advance(vm, claim, _claim.CLAIMED)
        try:
            self.host.backend(vm).restore(vm, state, claim.form, start, lambda: self._before_run(vm))
        except FAILURES as error:
            self._give_up(vm, error)
            raise
        self._mark_running(vm)  # for a guest that ran already
        names = elsewhere.not_compared(claim)
        if names:
            self.host.log(f"VM {vm.name}: images that could not be compared: {', '.join(names)}")
        seen = self._seen(vm, "restored")
        return {**seen, "clock": self.host.backend(vm).set_clock(vm), "not_compared": names}

    def _before_run(self, vm: ManifestVm) -> None:
        """Look at the images once more, then advance the claim.

        They may have been written to while the state was loaded, or since an interrupted restore has loaded it, and
        another guest may have them open, which is seen before it has written.
        """
        claim = self.claim(vm)
        if claim is not None:
            saved_disks.require_unused(self.host, vm, claim, self.files)
            saved_disks.require_unchanged(self.host, vm, claim)
            self._confirm_held(vm, claim)
        self._mark_running(vm)

    def _mark_running(self, vm: ManifestVm) -> None:
        """Advance the claim to running, durably.

        Before the guest's first instruction: from then on its state file is out of date.
        """
        claim = self.claim(vm)
        if claim is not None and claim.state == _claim.CLAIMED:
            self._advance(vm, claim, _claim.RUNNING)

    def _seen(self, vm: ManifestVm, result: str) -> dict[str, object]:
        """Acknowledge a guest that was seen to run; its result.

        It runs, whatever becomes of that: without it nothing is forgotten, and the next restore tries it again.
        """
        stamp = self.host.now()
        try:
            claim = self.claim(vm)
            if claim is not None and claim.state == _claim.RUNNING:
                self._advance(vm, claim, _claim.ACKNOWLEDGED)
        except FAILURES as error:
            self.host.log(f"VM {vm.name} runs, which its claim does not have: {error}")
        return {"resumed_at": stamp, "result": result, "error": None}

    def _give_up(self, vm: ManifestVm, error: Exception) -> None:
        """Advance the claim to failed when the QEMU is certainly gone.

        Only a QEMU that never executed its guest, and is seen gone, leaves the state file good for another try.
        """
        claim = self.claim(vm)
        unstarted = (_claim.CLAIMED, _claim.RUNNING) if isinstance(error, NeverRanError) else (_claim.CLAIMED,)
        if claim is not None and claim.state in unstarted and self.host.backend(vm).withdraw(vm):
            self._advance(vm, claim, _claim.FAILED, str(error))

    def _cold_start(self, vm: ManifestVm, claim: Claim) -> dict[str, object]:
        if not vm.cold_start:
            raise RefusedError(
                f"VM {vm.name} is not started from its disks, as it was armed without cold_start: true: its state is "
                f"kept; `sriovctl live-update restore {vm.name}` loads it"
            )
        saved_disks.require_unused(self.host, vm, claim, self.files)
        loadable = _claim.STATES[claim.state].loadable
        chosen = vm.name in self.cold and loadable
        why = "its policy on another kernel is a cold start" if chosen else "its memory is gone"
        if loadable:
            claim = self._advance(vm, claim, _claim.CLAIMED, why)
        self._advance(vm, claim, _claim.RUNNING, why)
        self.host.backend(vm).cold_start(vm)
        return self._seen(vm, "cold-started")

    def _doubts(self, claim: Claim, live: bool, cold: bool) -> list[str]:
        """Reasons why a VM could run elsewhere; none if it runs here."""
        if live and not _claim.STATES[claim.state].loadable:
            return []
        find = elsewhere.of_start if cold else elsewhere.doubts
        options, now = parse(self.manifest.options), self.host.now()
        held = ha_hold.doubts(self.host, self.manifest, claim.saved_at, ha_hold.need_s(options, cold))
        return [*find(claim, options, now, self.host.uptime_after(self.manifest.boot_id)), *held]

    def confirm_shared(self, vm: ManifestVm, claim: Claim) -> None:
        """Run the operator's hook where images may be in use elsewhere.

        For a saved VM that stands still here.
        """
        if elsewhere.shared(claim):
            self._confirm(vm, ())
        self._confirm_held(vm, claim)

    def _confirm_held(self, vm: ManifestVm, claim: Claim) -> None:
        """Look whether the host is still held, before a VM runs."""
        doubts = ha_hold.doubts(self.host, self.manifest, claim.saved_at)
        if doubts:
            self._confirm(vm, doubts)

    def _confirm(self, vm: ManifestVm, doubts: Sequence[str]) -> None:
        """Run the operator's hook, which confirms that a start is safe.

        An HA manager may have started the VM on another host meanwhile. Where there are ``doubts``, nothing is started
        without the hook, or a person in its place.
        """
        hook = parse(self.manifest.options).confirm_not_elsewhere
        if hook:
            self.host.run([*hook, vm.name])
        elif doubts and vm.name not in self.confirmed:
            raise RefusedError(
                f"VM {vm.name} could have been started elsewhere, as {'; '.join(doubts)}, and the update was armed "
                "without confirm_not_elsewhere: its state is kept, nothing is started. Once you have seen that it runs "
                f"nowhere else: `sriovctl live-update restore {vm.name} --confirm-not-elsewhere`"
            )
        elif doubts:
            self.host.log(
                f"VM {vm.name}: a person has confirmed that it runs nowhere else, although {'; '.join(doubts)}"
            )

    def _advance(self, vm: ManifestVm, claim: Claim, state: str, error: str | None = None) -> Claim:
        self.progress.on_step(state == _claim.RUNNING)
        step = _claim.advance(claim, state, self.boot_id, self.host.now(), error)
        return _claim.store(self.host.folder.vm(vm.name), step)
