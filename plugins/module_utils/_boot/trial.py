# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel that is tried once, and where that stands.

One durable file, which the guard on the host and the module share; whoever changes it holds its lock.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

from .._model.boot_paths import TRIAL, TRIAL_LOCK
from .._model.deadlines import LOCK_PAUSE_S, LOCK_S
from .._model.errors import BadInputError, BusyError, KernelError
from .._model.paths import BOOT_ID
from .._model.update_deadlines import CONFIRM_S, HEALTH_S
from .._system import durable, pf_lock
from .._system.sysfs import Sysfs
from . import proven
from .answer import KERNEL_RELEASE

SCHEMA = 1
ARMED, BOOTED, HEALTHY = "armed", "booted", "healthy"
GOING_BACK, HELD, FAILED, CONFIRMED = "going-back", "held", "failed", "confirmed"
FINAL = (FAILED, CONFIRMED)
PHASES = (ARMED, BOOTED, HEALTHY, GOING_BACK, HELD, *FINAL)
INTERFACE = re.compile(r"[^/:\s]{1,15}")
MAX_ITEMS = 50


@dataclass(frozen=True)
class Uplink:
    """A network interface that must have a carrier.

    ``gateway`` must answer there, None for none.
    """

    interface: str
    gateway: str | None


@dataclass(frozen=True)
class Trial:
    """One trial; times in seconds.

    ``build``: uname -v of the kernel; ``good``, ``good_kernel``: release and file of the default, which it goes back
    to; ``boot``: id of the boot that it was armed in, or that it runs in; ``failed_units``: failed before;
    ``with_vms``: go back also while VMs run; ``watchdog_s``: 0 for none.
    """

    release: str
    build: str
    good: str
    good_kernel: str
    boot: str
    phase: str
    reason: str = ""
    uplinks: tuple[Uplink, ...] = ()
    failed_units: tuple[str, ...] = ()
    commands: tuple[tuple[str, ...], ...] = ()
    health_s: float = HEALTH_S
    confirm_s: float = CONFIRM_S
    with_vms: bool = False
    watchdog_s: int = 0

    def runs(self, sysfs: Sysfs) -> bool:
        """Whether this is the kernel that is tried, by release and build."""
        return proven.running(sysfs) == (self.build, self.release)

    def to_dict(self) -> dict[str, Any]:
        return {"schema": SCHEMA, **asdict(self)}


@contextmanager
def held(sysfs: Sysfs, wait_s: float = LOCK_S) -> Iterator[None]:
    """Hold the lock of the file; `BusyError` after ``wait_s`` seconds."""
    path, until = sysfs.real(TRIAL_LOCK), time.monotonic() + wait_s
    try:
        durable.make_folder(os.path.dirname(path))
        handle = durable.open_own(path)
    except OSError as error:
        raise KernelError("open", TRIAL_LOCK, error.errno or 0) from error
    try:
        while not pf_lock.taken(handle, TRIAL_LOCK):
            if time.monotonic() >= until:
                raise BusyError(f"another process acts on the kernel that is tried ({TRIAL_LOCK}): wait for its end")
            time.sleep(LOCK_PAUSE_S)
        yield
    finally:
        os.close(handle)


def load(sysfs: Sysfs) -> Trial | None:
    """Read the trial, None without one; raises `BadInputError` for a damaged file."""
    data = durable.read_json(sysfs.real(TRIAL))
    return None if data is None else parse(data)


def store(sysfs: Sysfs, trial: Trial) -> None:
    path = sysfs.real(TRIAL)
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    durable.write_json(path, trial.to_dict())


def remove(sysfs: Sysfs) -> None:
    durable.remove(sysfs.real(TRIAL))


def boot_id(sysfs: Sysfs) -> str:
    return sysfs.read(BOOT_ID).strip()


def parse(data: dict[str, Any]) -> Trial:
    """A trial from JSON, with types and bounds checked."""
    values = {name: value for name, value in data.items() if name != "schema"}
    problem = None if data.get("schema") == SCHEMA else f"schema is {data.get('schema')!r}, expected {SCHEMA}"
    for name in ("release", "build", "good", "good_kernel", "boot", "phase", "reason"):
        if not isinstance(values.get(name, ""), str):
            problem = f"{name} is no text"
    for name in ("health_s", "confirm_s", "watchdog_s"):
        value = values.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 7 * 86400:
            problem = f"{name} is no number of seconds up to a week"
    if not isinstance(values.get("with_vms", False), bool):
        problem = "with_vms is neither true nor false"
    try:
        values["uplinks"] = tuple(uplink(row) for row in _list(values, "uplinks"))
        values["commands"] = tuple(argv(row) for row in _list(values, "commands"))
        values["failed_units"] = tuple(str(one) for one in _list(values, "failed_units"))
        trial = Trial(**values)
    except (TypeError, BadInputError) as error:
        raise BadInputError(f"{TRIAL} is damaged: {error}. Arm the trial again, or remove that file") from error
    if trial.phase not in PHASES or KERNEL_RELEASE.fullmatch(trial.release) is None:
        problem = f"phase '{trial.phase}' or release '{trial.release}'"
    if problem is not None:
        raise BadInputError(f"{TRIAL} is damaged: {problem}. Arm the trial again, or remove that file")
    return trial


def _list(values: dict[str, Any], name: str) -> list[Any]:
    found = values.get(name, [])
    if not isinstance(found, (list, tuple)) or len(found) > MAX_ITEMS:
        raise BadInputError(f"{name} is no list of at most {MAX_ITEMS}")
    return list(found)


def uplink(row: object) -> Uplink:
    """An uplink from ``{interface, gateway}``."""
    interface = row.get("interface") if isinstance(row, dict) else None
    gateway = row.get("gateway") if isinstance(row, dict) else None
    if not isinstance(interface, str) or INTERFACE.fullmatch(interface) is None or interface in (".", ".."):
        raise BadInputError(f"{row!r}: interface is the name of a network interface")
    if gateway is not None and (not isinstance(gateway, str) or re.fullmatch(r"[0-9a-fA-F.:]{2,45}", gateway) is None):
        raise BadInputError(f"{row!r}: gateway is an IP address")
    return Uplink(interface, gateway)


def argv(row: object) -> tuple[str, ...]:
    """A command as a list of words; there is no shell."""
    if not isinstance(row, (list, tuple)) or not row or not all(isinstance(word, str) for word in row):
        raise BadInputError(f"{row!r}: a command is a list of texts, its program first")
    return tuple(row)
