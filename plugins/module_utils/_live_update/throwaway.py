# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Throw-away VMs of a rehearsal, and the record of them.

Whoever runs with a disk below the rehearsal's private folder is one of them, whatever became of the record.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .._model.errors import BadInputError, RefusedError
from .._model.update_paths import REHEARSAL_SOCKETS, REHEARSAL_VMS
from .._system import durable
from .._system.sysfs import Sysfs
from .._vm.qemu import discovery, pattern_guest

SCHEMA = 1
NAME = re.compile(r"rehearsal-\d{1,3}", re.ASCII)
DIGEST = re.compile(r"[0-9a-f]{64}|", re.ASCII)
PROGRAMS = ("/usr/bin/qemu-system-x86_64", "/usr/libexec/qemu-kvm", "/usr/bin/qemu-kvm", "/usr/bin/kvm")
"""Where distributions have QEMU; the first that is there is used."""
ACCELERATORS = AUTO, KVM, TCG = "auto", "kvm", "tcg"
ADVICE = f"look at `sriovctl live-update status`, then rm -r {REHEARSAL_VMS}"


@dataclass(frozen=True)
class ThrowAway:
    """A VM with ``mib`` MiB that has nothing to lose.

    ``seed``: of the pattern in its memory; ``sha256``: of all memory before the jump, empty until it is known.
    """

    name: str
    mib: int
    seed: int
    sha256: str = ""

    @property
    def unit(self) -> str:
        return f"kvmfleet-{self.name}.service"

    @property
    def image(self) -> str:
        return f"{REHEARSAL_VMS}/{self.name}.img"

    @property
    def socket(self) -> str:
        return f"{REHEARSAL_SOCKETS}/{self.name}.qmp"

    def argv(self, program: str, accelerator: str) -> list[str]:
        """Command line of its QEMU."""
        return [
            program, "-name", f"guest={self.name}", "-M", "q35", "-accel", accelerator, "-smp", "1",
            "-m", str(self.mib), "-nodefaults", "-no-user-config", "-display", "none",
            "-drive", f"if=none,id=d0,format=raw,file={self.image}", "-device", "ide-hd,drive=d0",
            "-qmp", f"unix:{self.socket},server=on,wait=off",
        ]  # fmt: skip


@dataclass(frozen=True)
class Record:
    """A rehearsal that is under way.

    ``manifest``: of its live update, empty until it is armed; ``release``: of the kernel to jump into.
    """

    release: str
    vms: tuple[ThrowAway, ...]
    manifest: str = ""


def load(sysfs: Sysfs) -> Record | None:
    """Read the record, None without one; `BadInputError` for a wrong one."""
    path = _path(sysfs)
    data = durable.read_json(path)
    if data is None:
        return None
    vms = data.get("vms")
    good = data.get("schema") == SCHEMA and isinstance(data.get("release"), str) and isinstance(vms, list)
    if not good or not re.fullmatch(r"[0-9a-f]{32}|", str(data.get("manifest"))):
        raise BadInputError(f"{path}: not a record of a rehearsal of schema {SCHEMA}: {ADVICE}")
    return Record(data["release"], tuple(_vm(path, item) for item in data["vms"]), data["manifest"])


def store(sysfs: Sysfs, record: Record) -> None:
    durable.make_private_folder(sysfs.real(REHEARSAL_VMS))
    durable.write_json(_path(sysfs), {"schema": SCHEMA, **asdict(record)})


def running(sysfs: Sysfs) -> dict[int, str]:
    """Names of the throw-away VMs that run, by process id."""
    found = {}
    for pid, argv in discovery.processes(sysfs):
        name = next((word.rpartition("guest=")[2] for word in argv if word.startswith("guest=")), "")
        if NAME.fullmatch(name) and any(f"file={REHEARSAL_VMS}/{name}.img" in word for word in argv):
            found[pid] = name
    return found


def make_images(sysfs: Sysfs, vms: Sequence[ThrowAway]) -> None:
    """Write the VMs' boot sectors, and make the folder of their monitors."""
    durable.make_private_folder(sysfs.real(REHEARSAL_SOCKETS))
    for vm in vms:
        with open(sysfs.real(vm.image), "wb") as file:
            file.write(pattern_guest.sector(vm.mib, vm.seed).ljust(pattern_guest.MIB, b"\0"))


def is_left(sysfs: Sysfs) -> bool:
    """Whether anything of a rehearsal is there."""
    return sysfs.exists(REHEARSAL_VMS) or sysfs.exists(REHEARSAL_SOCKETS) or bool(running(sysfs))


def remove_files(sysfs: Sysfs) -> None:
    for folder in (REHEARSAL_SOCKETS, REHEARSAL_VMS):
        shutil.rmtree(sysfs.real(folder), ignore_errors=True)


def program(sysfs: Sysfs, machine: str) -> str:
    """Path of the host's QEMU; `RefusedError` without one for its guests."""
    if machine != "x86_64":
        raise RefusedError(f"mode boot has guests for x86_64 alone, and this host is {machine}: use mode disks")
    found = next((path for path in PROGRAMS if sysfs.exists(path)), None)
    if found is None:
        raise RefusedError(f"there is no QEMU ({', '.join(PROGRAMS)}): install it, or use mode disks")
    return found


def accelerator(sysfs: Sysfs, wanted: str) -> str:
    """Accelerator of the VMs: ``auto`` is KVM where the host has it."""
    return wanted if wanted != AUTO else KVM if sysfs.exists("/dev/kvm") else TCG


def _path(sysfs: Sysfs) -> str:
    return os.path.join(sysfs.real(REHEARSAL_VMS), "record.json")


def _vm(where: str, data: object) -> ThrowAway:
    keys = {"name": str, "mib": int, "seed": int, "sha256": str}
    values: dict[str, Any] = dict(data) if isinstance(data, Mapping) else {}
    good = set(values) == set(keys) and all(
        isinstance(values[key], kind) and not isinstance(values[key], bool) for key, kind in keys.items()
    )
    if not good or not NAME.fullmatch(values["name"]) or not DIGEST.fullmatch(values["sha256"]):
        raise BadInputError(f"{where}: {str(data)[:100]} is no throw-away VM: {ADVICE}")
    return ThrowAway(**values)
