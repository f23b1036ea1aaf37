# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a manager of VMs does with them, and what follows.

libvirt starts a saved VM for whoever asks, and loads its memory upon any disks. A QEMU without a manager is nobody's
but the update's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Protocol

from .._model.properties import VfProperties
from .record import ManifestVf, ManifestVm
from .vm_facts import VmFacts


class ByManager(Protocol):
    """The part of a backend that is about its manager.

    Each step can be repeated; all raise `SriovError` or `OSError` when they fail.
    """

    @property
    def managed(self) -> bool:
        """Whether others may start a saved VM with its memory."""

    def continues(self, vm: ManifestVm) -> bool:
        """Whether others have loaded the saved memory of a VM that runs.

        Then `restore` with ``start`` false completes what they began. False for one that was started from its disks.
        """

    def offer(self, vm: ManifestVm, state: str) -> None:
        """Let others start a saved VM with its memory.

        While its disks are those of its save, in the file ``state``; else they are kept from it again. Called again and
        again until the VM is started.
        """

    def withhold(self, vm: ManifestVm) -> None:
        """Keep others from loading a saved VM's memory.

        Its disks are not those that it was saved with. The memory is kept.
        """

    def released(self, vm: ManifestVm, vf: ManifestVf, now: VfProperties) -> VfProperties:
        """Properties with which a VF comes back.

        ``vf`` has those while the VM had it; it shows ``now`` since the VM has released it, perhaps by the manager.
        """

    def moving(self, vm: VmFacts, to: str) -> Sequence[str]:
        """Command line that migrates a VM without VFs to host ``to``.

        Returns once it has left; empty where the manager has none.
        """

    def starts_again(self, vm: ManifestVm) -> str | None:
        """What would start a VM that is gone at the next boot.

        In words with the fix; None for nothing.
        """

    def forget(self, vm: ManifestVm, aside: str | None) -> None:
        """Give up what is kept of a VM besides its state.

        Before that goes. ``aside``: folder, deleted days later, for what could still be its memory; None without any.
        """


class NoManager:
    """VMs that nobody but the update starts again."""

    managed: ClassVar[bool] = False

    def continues(self, vm: ManifestVm) -> bool:
        return False

    def offer(self, vm: ManifestVm, state: str) -> None:
        """Nothing: others cannot load the state."""

    def withhold(self, vm: ManifestVm) -> None:
        """Nothing: the state is the update's alone."""

    def released(self, vm: ManifestVm, vf: ManifestVf, now: VfProperties) -> VfProperties:
        return now

    def moving(self, vm: VmFacts, to: str) -> Sequence[str]:
        return ()

    def starts_again(self, vm: ManifestVm) -> str | None:
        """Nothing: units that would are refused before."""
        return None

    def forget(self, vm: ManifestVm, aside: str | None) -> None:
        """Nothing: all that is kept is in the folder of the state."""
