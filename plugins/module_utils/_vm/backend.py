# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Protocol of VM backends: saving VMs of one kind and restoring them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .._model.errors import SriovError
from .._model.state import PfState
from .._model.update_deadlines import ANSWER_S, COPY_S, MIGRATE_S, SHUTDOWN_S, START_S, UNPLUG_S
from .._system.process import Run
from .._system.sysfs import Sysfs
from .dry_start import DryStart
from .ending import Ending
from .guest_interface import GuestInterface
from .images import Image
from .manager import ByManager
from .record import IN_PLACE, ManifestVm
from .state_file import Fingerprint
from .vm_commands import VmCommands
from .vm_facts import VmFacts


@dataclass(frozen=True)
class Deadlines:
    """Deadlines for a VM in seconds, and choices of its save.

    ``copy_s``: for copying memory while the guest runs, both times together, after which it is stopped all the same;
    ``whole_hash``: all of a state is read twice, not samples; ``vm_commands``: programs of VMs' managers.
    """

    unplug_s: float = UNPLUG_S
    shutdown_s: float = SHUTDOWN_S
    copy_s: float = COPY_S
    migrate_s: float = MIGRATE_S
    start_s: float = START_S
    answer_s: float = ANSWER_S
    whole_hash: bool = False
    vm_commands: tuple[VmCommands, ...] = ()


@dataclass(frozen=True)
class Saved:
    """Times and fingerprint of a saved VM, and its images.

    ``stopped_at``: when the guest was stopped; ``saved_at``: when the state was durable; in seconds since the epoch.
    ``images``: as they were after the last flush, all of them; ``form``: how the state is written, for `restore`, of
    JSON types only.
    """

    stopped_at: float
    saved_at: float
    fingerprint: Fingerprint
    images: tuple[Image, ...] = ()
    form: Mapping[str, Any] = field(default_factory=dict)


class NeverRanError(SriovError):
    """A restored VM was not started.

    It has executed nothing since its save.
    """


class StragglerError(SriovError):
    """A guest that does not release its VFs.

    In time, or at all. Its policy decides what becomes of the update.
    """


class Backend(ByManager, Protocol):
    """The VMs of one kind on this host.

    Made of (sysfs, run, deadlines); one object serves many threads. Each step examines what runs and does what is left
    of it, so that an interrupted one can be repeated. All raise `SriovError` or `OSError` when they fail; `release`,
    `copy` and `save` raise `EndedError` for a VM that has ended by itself, `StandsError` for one that others stopped.
    """

    @property
    def name(self) -> str:
        """Name in manifests; never changed."""

    @property
    def modules(self) -> Sequence[str]:
        """Kernel modules that VMs need at once.

        Early in a boot nobody may have loaded them.
        """

    def probe(self, pfs: Mapping[str, PfState], taken: Collection[int]) -> Iterable[VmFacts]:
        """Find the running VMs, changing nothing.

        One that does not answer has the reason. ``taken``: processes that are VMs of another backend.
        """

    def problems(self, vm: VmFacts, strategy: str = IN_PLACE) -> Iterable[tuple[str, str]]:
        """(problem, fix) for each reason against updating a VM so.

        In place: against its save; of a shutdown, against its start from its disks as it runs; of a migration, against
        the release of its VFs, and for what would start it here once more. The preflight adds those that concern
        every backend.
        """

    def dry_start(self, vm: VmFacts) -> DryStart:
        """Try a restore of a VM without problems, which runs on.

        Without loading anything, and so that the VM feels nothing.
        """

    def prepare(self, vm: VmFacts) -> Mapping[str, Any]:
        """Make the backend's part of the manifest, of JSON types only.

        With all that the backend needs after the jump.
        """

    @staticmethod
    def check(part: Mapping[str, Any], vfs: Collection[str], where: str) -> None:
        """Require a part of the manifest that this backend can use.

        ``vfs``: addresses of the VFs that it must bring back. Raises `BadInputError` with the path of the wrong key
        below ``where``.
        """

    def pid(self, name: str) -> int | None:
        """Process id of the running VM of that name, or None.

        Whoever started it.
        """

    def is_own(self, vm: ManifestVm) -> bool:
        """Whether the VM that runs was started by `restore` or `cold_start`.

        Not by somebody else under the same name.
        """

    def images(self, vm: ManifestVm) -> Sequence[Image]:
        """Find the images that a running VM has open, as `images.find`."""

    def require_armed(self, vm: ManifestVm) -> None:
        """Require a running VM as it was armed, changing nothing.

        What is started from its record would else be another VM. Fails as `release`.
        """

    def release(self, vm: ManifestVm, state: str) -> None:
        """Unplug all VFs of a VM, which goes on running.

        In at most ``unplug_s``, else raises `StragglerError`. ``state`` is the file of `save`, a path on this machine;
        notes for `undo` may be beside it.
        """

    def copy(self, vm: ManifestVm, state: str, others: Callable[[bool], bool]) -> None:
        """Copy the memory of a VM that runs, without VFs.

        As far as the backend can: nothing is all right. Called again, what was written to since. In at most ``copy_s``;
        `undo` can undo it. ``others``: called with whether this VM is nearly copied, tells whether any
        other one is not, for which this one should run on.
        """

    def save(self, vm: ManifestVm, state: str) -> Saved:
        """Stop a VM that has no VF and seal its state.

        In the file ``state``. `undo` can still undo it.
        """

    def undo(
        self, vm: ManifestVm, state: str, before_run: Callable[[], None] = lambda: None, stopped: bool = True
    ) -> None:
        """Let a VM run with its VFs again.

        However far `release` or `save` came. ``before_run``: called before one that stands still goes on; ``stopped``:
        `save` may have stopped it. Raises `StandsError` for one that others have stopped, which has its VFs and stands
        as they left it, and `EndedError` for a guest that has shut down.
        """

    def ending(self, vm: ManifestVm) -> Ending:
        """Why a VM that is gone has ended; never fails."""

    def settle(self, vm: ManifestVm, state: str) -> str | None:
        """After `undo`, plug again what the guest releases late.

        In at most ``unplug_s``. Returns what is left to a person to look after, None for nothing.
        """

    def power_down(self, vm: ManifestVm) -> None:
        """Ask the guest to shut down, and wait for its end.

        In at most ``shutdown_s``. It is started by `cold_start` later.
        """

    def discard(self, vm: ManifestVm) -> None:
        """End a saved VM, or one whose guest has shut down.

        Waits until it is gone. Its VFs are released then.
        """

    def ready(self, vm: ManifestVm) -> None:
        """Wait for what a VM needs of the host before its start.

        Its images are compared after that.
        """

    def restore(
        self, vm: ManifestVm, state: str, form: Mapping[str, Any], start: bool, before_run: Callable[[], None]
    ) -> None:
        """Bring a VM back from its state, with its VFs.

        ``form``: of `Saved`. ``before_run`` precedes its first instruction. ``start``: nothing runs yet. Else an
        interrupted restore began it, which is finished.
        """

    def set_clock(self, vm: ManifestVm) -> str:
        """Set the clock of a guest that was stopped; never fails.

        Returns `set`, or `not set` with the reason.
        """

    def networks(self, vm: ManifestVm) -> Sequence[GuestInterface]:
        """The network interfaces that the guest itself reports.

        Raises `SriovError` or `OSError` when nothing in the guest can be asked.
        """

    def withdraw(self, vm: ManifestVm) -> bool:
        """End a VM whose restore failed before its first instruction.

        True when it is gone for certain.
        """

    def cold_start(self, vm: ManifestVm) -> None:
        """Start a VM without its memory from its disk and VFs."""


class BackendClass(Protocol):
    """The class of a backend, as the registry has it."""

    @property
    def name(self) -> str: ...

    def check(self, part: Mapping[str, Any], vfs: Collection[str], where: str) -> None: ...

    def __call__(self, sysfs: Sysfs, run: Run, deadlines: Deadlines) -> Backend: ...
