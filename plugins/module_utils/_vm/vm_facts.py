# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Facts of a host before a live update.

Read by `_live_update/gather`, judged by `_live_update/preflight`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from .._model.state import PfState


@dataclass(frozen=True)
class KernelFacts:
    """Facts of the running and of the new kernel.

    ``image_bytes`` is None when there is no such file. ``image_release`` and ``interface`` (of its SR-IOV files) are
    None when the files do not show them. ``keeps_vfs``: the new kernel keeps VFs enabled across kexec, by its series
    and its command line.
    """

    running: str
    boot_id: str
    cmdline: str
    kexec_built_in: bool
    kexec_loaded: bool
    kexec_disabled: bool
    release: str
    image: str
    image_bytes: int | None
    image_release: str | None
    initrd: str | None
    initrd_bytes: int | None
    interface: str | None
    keeps_vfs: bool = False


@dataclass(frozen=True)
class ModuleFacts:
    """Kernel modules: needed, loaded, and available to the new kernel.

    ``needed``: users by module, for drivers that the host cannot do without; ``available``: loadable or built in, None
    when the kernel's /lib/modules folder is missing.
    """

    needed: Mapping[str, str]
    loaded: frozenset[str]
    available: frozenset[str] | None


@dataclass(frozen=True)
class Writer:
    """A configured writer of sriov_numvfs.

    ``kind`` names the program, ``path`` the file with its setting.
    """

    kind: str
    path: str


@dataclass(frozen=True)
class Watchdog:
    name: str
    identity: str
    active: bool
    timeout_s: float


@dataclass(frozen=True)
class UsedVf:
    pf: str
    id: int
    address: str


@dataclass(frozen=True)
class VmFacts:
    """A running VM.

    ``unknown_devices``: addresses of passed-through devices that are no VFs of this host; ``detail``: facts for its
    backend alone.
    """

    name: str
    backend: str
    pid: int
    unit: str
    detail: object
    vfs: tuple[UsedVf, ...] = ()
    unknown_devices: tuple[str, ...] = ()
    memory_bytes: int = 0


@dataclass(frozen=True)
class Facts:
    """All facts for the preflight.

    ``phase``: of an earlier update's status.json, None without one; ``not_installed``: files without which nothing
    would resume the VMs.
    """

    kernel: KernelFacts
    modules: ModuleFacts
    pfs: Mapping[str, PfState]
    vms: tuple[VmFacts, ...]
    eswitch: Mapping[str, str] = field(default_factory=dict)
    writers: tuple[Writer, ...] = ()
    watchdogs: tuple[Watchdog, ...] = ()
    disk_free_bytes: int = 0
    disk_kind: str = "ext4"
    memory_free_bytes: int = 0
    phase: str | None = None
    not_installed: tuple[str, ...] = ()
    journal_persistent: bool = True
