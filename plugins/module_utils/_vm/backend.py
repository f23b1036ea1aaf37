# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a live update asks of a backend: a way to save the VMs of one kind and to bring them back."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from .._model.deadlines import ANSWER_S, MIGRATE_S, START_S, UNPLUG_S
from .._model.state import PfState
from .record import ManifestVm
from .state_file import Fingerprint
from .vm_facts import VmFacts


@dataclass(frozen=True)
class Deadlines:
    """Seconds that each wait for a VM may take."""

    unplug: float = UNPLUG_S
    migrate: float = MIGRATE_S
    start: float = START_S
    answer: float = ANSWER_S


@dataclass(frozen=True)
class Saved:
    """When unplug (or stop) was requested and when the state was durable, in seconds since the epoch."""

    paused_at: float
    saved_at: float
    fingerprint: Fingerprint


class Backend(Protocol):
    """The VMs of one kind on this host. Made of (sysfs, run, deadlines); one object serves many threads.

    Each step looks at what runs and does what is left of it, so that an interrupted one can be repeated. All raise
    `SriovError` or `OSError` when they fail.
    """

    @property
    def name(self) -> str:
        """As in manifests; never changed."""

    def probe(self, pfs: Mapping[str, PfState]) -> Iterable[VmFacts]:
        """Find the VMs that run here now, each with the reason when it does not answer. Changes nothing."""

    def problems(self, vm: VmFacts) -> Iterable[tuple[str, str]]:
        """(problem, fix) for all that speaks against saving a VM; preflight adds what concerns every backend."""

    def prepare(self, vm: VmFacts) -> Mapping[str, Any]:
        """Make the backend's part of the manifest, JSON types only: whatever it needs after the jump."""

    @staticmethod
    def check(part: Mapping[str, Any], vfs: Collection[str], where: str) -> None:
        """`BadInputError`, with the path of the wrong key below ``where``, unless it is such a part.

        ``vfs``: addresses of the VFs that it must bring back.
        """

    def pid(self, name: str) -> int | None:
        """Process id of the VM of that name that runs now, whoever started it; None for none."""

    def save(self, vm: ManifestVm, state: str) -> Saved:
        """Stop the VM, its state in the file ``state`` (a path on this machine), sealed. `undo` can still undo it."""

    def undo(self, vm: ManifestVm) -> None:
        """Let a VM run again where it was stopped, however far the save came."""

    def discard(self, vm: ManifestVm) -> None:
        """End what is left of a saved VM, its VFs released; wait until it is gone."""

    def restore(self, vm: ManifestVm, state: str, start: bool, before_run: Callable[[], None]) -> None:
        """Bring a VM back from its state, with its VFs. ``before_run`` precedes its first instruction.

        ``start``: nothing runs yet. Else an interrupted restore began it, which is finished.
        """

    def withdraw(self, vm: ManifestVm) -> bool:
        """End a VM whose restore failed before its first instruction; True when it is gone for certain."""

    def cold_start(self, vm: ManifestVm) -> None:
        """Start a VM whose memory is lost from its disk, with the VFs it had."""
