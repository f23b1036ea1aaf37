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

from .._model import kernel_interface
from .._model.errors import KernelError, SriovError
from .._model.paths import BOOT_ID, COMMAND_LINE, LIVE_UPDATE, PROGRAM, RELEASE
from .._model.state import PfState
from .._model.update_paths import RESUME_ENABLED
from .._readers.pfs import read_pfs
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._system.update_folder import Folder
from .._vm.backend import Backend
from .._vm.candidates import Candidate, strangers
from .._vm.vm_facts import VmFacts
from . import conflicts, kernel_modules, kexec, kexec_rules
from .conflicts import Writer
from .kernel_modules import ModuleFacts

HEAD_BYTES = 0x10000
"""Bytes of a bzImage that hold its header and version text."""


@dataclass(frozen=True)
class KernelFacts:
    """Facts of the running and of the new kernel.

    ``image_bytes`` is None when there is no such file. ``image_release`` and ``interface`` (of its SR-IOV files) are
    None when the files do not show them; so is ``image_signed``. ``keeps_vfs``: the new kernel keeps VFs enabled across
    kexec, by its series and its command line. ``rules``: those of the running kernel.
    """

    running: str
    boot_id: str
    cmdline: str
    kexec_built_in: bool
    kexec_loaded: bool
    release: str
    image: str
    image_bytes: int | None
    image_release: str | None
    initrd: str | None
    initrd_bytes: int | None
    interface: str | None
    keeps_vfs: bool = False
    rules: kexec_rules.Rules = field(default_factory=kexec_rules.Rules)
    image_signed: bool | None = None


@dataclass(frozen=True)
class Watchdog:
    name: str
    identity: str
    active: bool
    timeout_s: float


@dataclass(frozen=True)
class Facts:
    """All facts for the preflight.

    ``phase``: of an earlier update's status.json, None without one; ``not_installed``: files without which nothing
    would resume the VMs; ``strangers``: processes that could be VMs and are none of ``vms``.
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
    strangers: tuple[Candidate, ...] = ()


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
    kind, free = _disk(sysfs)
    vms = tuple(vm for backend in backends for vm in backend.probe(pfs))
    return Facts(
        kernel=kernel_facts(sysfs, release, initrd, cmdline_extra),
        modules=kernel_modules.facts(sysfs, release, pfs),
        pfs=pfs,
        vms=vms,
        eswitch=_eswitch(run, pfs),
        writers=tuple(conflicts.find(sysfs)),
        watchdogs=tuple(_watchdogs(sysfs)),
        disk_free_bytes=free,
        disk_kind=kind,
        memory_free_bytes=_memory(sysfs),
        not_installed=tuple(path for path in (PROGRAM, RESUME_ENABLED) if not sysfs.exists(path)),
        phase=None if status is None else str(status.get("phase")),
        journal_persistent=sysfs.exists("/var/log/journal"),
        strangers=tuple(strangers(sysfs, [(vm.pid, vm.started) for vm in vms])),
    )


def kernel_facts(sysfs: Sysfs, release: str, initrd: str | None, cmdline_extra: str = "") -> KernelFacts:
    image = f"/boot/vmlinuz-{release}"
    if initrd == "auto":
        initrd, own = f"/boot/initrd.img-{release}", f"/boot/initrd.img-{sysfs.read(RELEASE)}"
        initrd = initrd if sysfs.exists(initrd) or sysfs.exists(own) else None
    symbols = _symbols(sysfs, f"/boot/System.map-{release}")
    interface, cmdline = kernel_interface.of_symbols(symbols), sysfs.read(COMMAND_LINE)
    return KernelFacts(
        running=sysfs.read(RELEASE),
        boot_id=sysfs.read(BOOT_ID),
        cmdline=cmdline,
        kexec_built_in=sysfs.exists(kexec.LOADED),
        kexec_loaded=sysfs.exists(kexec.LOADED) and sysfs.read(kexec.LOADED) == "1",
        release=release,
        image=image,
        image_bytes=_size(sysfs, image),
        image_release=_image_release(sysfs, image),
        initrd=initrd,
        initrd_bytes=None if initrd is None else _size(sysfs, initrd),
        interface=interface.name if interface else None,
        keeps_vfs="pci_sriov_keep_vfs" in symbols and _keeps_vfs(f"{cmdline} {cmdline_extra}"),
        rules=kexec_rules.read(sysfs),
        image_signed=_image_signed(sysfs, image),
    )


def _size(sysfs: Sysfs, path: str) -> int | None:
    try:
        return os.stat(sysfs.real(path)).st_size
    except FileNotFoundError:
        return None


def _image_release(sysfs: Sysfs, path: str) -> str | None:
    found = _ends(sysfs, path)
    return None if found is None else kexec.image_release(found[0])


def _image_signed(sysfs: Sysfs, path: str) -> bool | None:
    found = _ends(sysfs, path)
    return None if found is None else kexec_rules.is_signed(*found)


def _ends(sysfs: Sysfs, path: str) -> tuple[bytes, bytes] | None:
    """Begin and end of an image, None when it cannot be read."""
    try:
        with open(sysfs.real(path), "rb") as file:
            head = file.read(HEAD_BYTES)
            file.seek(-min(len(head), kexec_rules.MARK_BYTES), os.SEEK_END)
            return head, file.read()
    except OSError:
        return None


def _symbols(sysfs: Sysfs, path: str) -> str:
    """Read the text of a System.map, empty without one."""
    try:
        return sysfs.read(path)
    except KernelError:
        return ""


def _keeps_vfs(cmdline: str) -> bool:
    """Whether `pci=` has the series' option `sriov_keep_vfs`.

    It may stand alone or have a list of devices.
    """
    options = [one for word in cmdline.split() if word.startswith("pci=") for one in word[4:].split(",")]
    return any(one.split("=")[0] == "sriov_keep_vfs" for one in options)


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


def _watchdogs(sysfs: Sysfs) -> list[Watchdog]:
    """Read the watchdogs (Documentation/ABI/testing/sysfs-class-watchdog).

    Their state and timeout exist with CONFIG_WATCHDOG_SYSFS.
    """
    watchdogs = []
    for name in sysfs.names("/sys/class/watchdog"):
        folder = f"/sys/class/watchdog/{name}"
        if sysfs.exists(f"{folder}/state") and sysfs.exists(f"{folder}/timeout"):
            watchdogs.append(
                Watchdog(
                    name=name,
                    identity=sysfs.read(f"{folder}/identity") if sysfs.exists(f"{folder}/identity") else "",
                    active=sysfs.read(f"{folder}/state") == "active",
                    timeout_s=float(sysfs.read(f"{folder}/timeout")),
                )
            )
    return watchdogs


def _disk(sysfs: Sysfs) -> tuple[str, int]:
    """(file system's kind, free bytes) below the live update's folder."""
    folder = LIVE_UPDATE
    while not sysfs.exists(folder):
        folder = os.path.dirname(folder)
    stat = os.statvfs(sysfs.real(folder))
    mounts = [line.split() for line in sysfs.read("/proc/mounts").splitlines()]
    around = [line for line in mounts if folder == line[1] or folder.startswith(line[1].rstrip("/") + "/")]
    kind = max(around, key=lambda line: len(line[1]))[2] if around else "unknown"
    return kind, stat.f_bavail * stat.f_frsize


def _memory(sysfs: Sysfs) -> int:
    match = re.search(r"^MemAvailable:\s+(\d+) kB", sysfs.read("/proc/meminfo"), re.MULTILINE)
    return int(match.group(1)) * 1024 if match else 0
