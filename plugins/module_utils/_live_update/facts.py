# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host's facts before a live update, and how they are read.

Nothing is changed; backends ask their VMs. `preflight` judges the facts.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from .._model.errors import SriovError
from .._model.paths import LIVE_UPDATE, PROGRAM
from .._model.state import PfState
from .._model.update_paths import RESUME_ENABLED
from .._readers import other_writers
from .._readers.other_writers import Writer
from .._readers.pfs import read_pfs
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._system.update_folder import Folder
from .._vm import image_writers, storage
from .._vm.backend import Backend
from .._vm.candidates import Candidate, strangers
from .._vm.dry_start import DryStart
from .._vm.record import IN_PLACE
from .._vm.vm_facts import VmFacts
from . import after_failure, hold_off, kernel_facts, kernel_modules, locked_volumes, lost_volumes, watchdog_facts
from .after_failure import AfterFailure
from .hold_off import Others
from .host_services import Service
from .kernel_facts import KernelFacts
from .kernel_modules import ModuleFacts
from .locked_volumes import Locked
from .lost_volumes import Lost
from .watchdog_facts import Watchdog


@dataclass(frozen=True)
class Facts:
    """All facts for the preflight.

    ``phase``: of an earlier update's status.json, None without one; ``not_installed``: files without which nothing
    would resume the VMs; ``state_disk``: device of the folder of states, ``disk_in_memory``: a kexec empties it;
    ``strangers``: processes that could be VMs and are none of ``vms``; ``image_writers``: others that could write to a
    VM's images, in words, by its process id;
    ``dry_starts``: by process id of the VM, made when all else was read; ``strategies``: by the VM's name, as chosen;
    ``leaving``: VMs that are moved to other hosts before, which are none of ``vms``; ``moving``: names of those whose
    move was interrupted.
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
    disk_in_memory: bool = False
    state_disk: str = ""
    memory_free_bytes: int = 0
    phase: str | None = None
    not_installed: tuple[str, ...] = ()
    journal_persistent: bool = True
    strangers: tuple[Candidate, ...] = ()
    image_writers: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    locked: tuple[Locked, ...] = ()
    lost: tuple[Lost, ...] = ()
    after_failure: AfterFailure = field(default_factory=AfterFailure)
    others: Others = field(default_factory=Others)
    dry_starts: Mapping[int, DryStart] = field(default_factory=dict)
    services: tuple[Service, ...] = ()
    strategies: Mapping[str, str] = field(default_factory=dict)
    leaving: tuple[VmFacts, ...] = ()
    moving: tuple[str, ...] = ()

    def strategy(self, vm: VmFacts) -> str:
        return self.strategies.get(vm.name, IN_PLACE)


def gather(
    sysfs: Sysfs,
    run: Run,
    backends: Iterable[Backend],
    release: str,
    initrd: str | None = "auto",
    cmdline_extra: str = "",
) -> Facts:
    """Gather all facts for an update to kernel ``release``.

    Its image is /boot/vmlinuz-RELEASE. ``initrd`` is a path, None for none, or ``auto`` for /boot/initrd.img-RELEASE
    where that exists, or the running kernel has one.
    """
    pfs = read_pfs(sysfs, vfs=False)
    status = Folder.of(sysfs).read_status()
    kind, in_memory, free, disk = _disk(sysfs)
    vms = _vms(backends, pfs)
    kernel = kernel_facts.read(sysfs, release, initrd, cmdline_extra)
    return Facts(
        kernel=kernel,
        modules=kernel_modules.facts(sysfs, release, pfs),
        pfs=pfs,
        vms=vms,
        eswitch=_eswitch(run, pfs),
        writers=tuple(other_writers.find(sysfs)),
        watchdogs=tuple(watchdog_facts.find(sysfs, run)),
        disk_free_bytes=free,
        disk_kind=kind,
        disk_in_memory=in_memory,
        state_disk=disk,
        memory_free_bytes=_memory(sysfs),
        not_installed=tuple(path for path in (PROGRAM, RESUME_ENABLED) if not sysfs.exists(path)),
        phase=None if status is None else str(status.get("phase")),
        journal_persistent=sysfs.exists("/var/log/journal"),
        strangers=tuple(strangers(sysfs, [(vm.pid, vm.started) for vm in vms])),
        image_writers=image_writers.of_running(sysfs, vms),
        locked=tuple(locked_volumes.find(sysfs, run, kernel.initrd, kernel.cmdline_after)),
        lost=tuple(lost_volumes.find(sysfs, vms)),
        after_failure=after_failure.read(sysfs, run),
        others=hold_off.read(sysfs),
    )


def _vms(backends: Iterable[Backend], pfs: Mapping[str, PfState]) -> tuple[VmFacts, ...]:
    """VMs of all backends, each of the first that finds it."""
    found: list[VmFacts] = []
    for backend in backends:
        found.extend(backend.probe(pfs, [vm.pid for vm in found]))
    return tuple(found)


def _eswitch(run: Run, pfs: Mapping[str, PfState]) -> dict[str, str]:
    """Read the eswitch modes of PFs with VFs enabled.

    A driver without devlink, or without an eswitch, has none.
    """
    modes: dict[str, str] = {}
    for address, pf in pfs.items():
        if not pf.enabled:
            continue
        try:
            answer = run(["devlink", "dev", "eswitch", "show", f"pci/{address}"])
        except SriovError:
            continue
        match = re.search(r"\bmode (\w+)", answer)
        if match:
            modes[address] = match.group(1)
    return modes


def _disk(sysfs: Sysfs) -> tuple[str, bool, int, str]:
    """Where the folder of states is, its links followed.

    (file system's kind, whether its disk is memory, free bytes, MAJOR:MINOR).
    """
    folder = LIVE_UPDATE
    while not sysfs.exists(folder):
        folder = os.path.dirname(folder)
    stat, device = os.statvfs(sysfs.real(folder)), os.stat(sysfs.real(folder)).st_dev
    inside, mounts = storage.inside(sysfs, folder), [line.split() for line in sysfs.read("/proc/mounts").splitlines()]
    around = [line for line in mounts if f"{inside}/".startswith(line[1].rstrip("/") + "/")]
    kind = max(reversed(around), key=lambda line: len(line[1]))[2] if around else "unknown"  # the last one hides others
    in_memory = storage.of_path(sysfs, folder).storage == storage.MEMORY
    return kind, in_memory, stat.f_bavail * stat.f_frsize, f"{os.major(device)}:{os.minor(device)}"


def _memory(sysfs: Sysfs) -> int:
    match = re.search(r"^MemAvailable:\s+(\d+) kB", sysfs.read("/proc/meminfo"), re.MULTILINE)
    return int(match.group(1)) * 1024 if match else 0
