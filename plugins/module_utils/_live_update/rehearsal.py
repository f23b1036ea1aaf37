# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What rehearsals have measured on this host, and its use.

Estimates and deadlines rest on it where an operator has not given a figure: a disk's speed, and the time of a boot.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from .._model.errors import BadInputError, SriovError
from .._model.update_paths import REHEARSAL
from .._system import durable
from .._system.sysfs import Sysfs
from .options import Options

SCHEMA = 1
LATEST = 1e11
"""Latest time in seconds since the epoch, year 5138."""


@dataclass(frozen=True)
class Disk:
    """Speeds of the disk below ``folder`` in MiB/s.

    ``date``: in seconds since the epoch.
    """

    folder: str
    write_mib_s: float
    read_mib_s: float
    mib: int
    direct: bool
    date: float

    @property
    def rate(self) -> float:
        """The slower one, as states are written and read."""
        return min(self.write_mib_s, self.read_mib_s)


@dataclass(frozen=True)
class Boot:
    """Seconds from the kexec into ``release`` to the resume unit."""

    release: str
    release_before: str
    seconds: float
    memory_mib: int
    date: float


@dataclass(frozen=True)
class Rehearsal:
    """Measurements: disks by their name, boots by the kernel's release."""

    disks: Mapping[str, Disk] = field(default_factory=dict)
    boots: Mapping[str, Boot] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        return {
            "schema": SCHEMA,
            "disks": {name: asdict(one) for name, one in self.disks.items()},
            "boots": {name: asdict(one) for name, one in self.boots.items()},
        }

    def slowest(self) -> Disk | None:
        return min(self.disks.values(), key=lambda one: one.rate, default=None)

    def boot_into(self, release: str | None) -> Boot | None:
        """The boot into a release, else the longest one that is known."""
        found = self.boots.get(release or "")
        return found or max(self.boots.values(), key=lambda one: one.seconds, default=None)


def load(sysfs: Sysfs) -> Rehearsal:
    """Read what was measured; nothing where nothing was.

    Raises `BadInputError` for a file that is none of ours.
    """
    data = durable.read_json(sysfs.real(REHEARSAL))
    if data is None:
        return Rehearsal()
    if data.get("schema") != SCHEMA:
        raise BadInputError(
            f"{REHEARSAL}: schema {str(data.get('schema'))[:20]}, this version knows {SCHEMA}: rehearse again"
        )
    return Rehearsal(_each(data, "disks", Disk), _each(data, "boots", Boot))


def store(sysfs: Sysfs, rehearsal: Rehearsal) -> None:
    durable.write_json(sysfs.real(REHEARSAL), rehearsal.to_dict())


def applied(
    sysfs: Sysfs, options: Options, given: Mapping[str, Any], release: str | None
) -> tuple[Options, dict[str, str]]:
    """Options with what was measured, and on what each figure rests.

    ``given``: the operator's options, which win. A file that cannot be read changes nothing, and is said.
    """
    try:
        known = load(sysfs)
    except SriovError as error:
        return options, dict.fromkeys(("rate_mib_s", "boot_s"), f"default: {error}")
    disk, boot = known.slowest(), known.boot_into(release)
    basis = {name: "option" if given.get(name) is not None else "default" for name in ("rate_mib_s", "boot_s")}
    if disk is not None and basis["rate_mib_s"] == "default":
        options, basis["rate_mib_s"] = replace(options, rate_mib_s=disk.rate), f"rehearsal of {disk.folder}"
    if boot is not None and basis["boot_s"] == "default":
        other = "" if boot.release == release else f" into {boot.release}, another kernel"
        options, basis["boot_s"] = replace(options, boot_s=boot.seconds), f"rehearsal{other}"
    return options, basis


def _each(data: Mapping[str, Any], name: str, kind: Any) -> dict[str, Any]:  # noqa: ANN401 - a class of this file
    items = data.get(name)
    if not isinstance(items, Mapping):
        raise BadInputError(f"{REHEARSAL}.{name}: expected an object: rehearse again")
    return {str(key): _one(f"{REHEARSAL}.{name}.{key}", value, kind) for key, value in items.items()}


def _one(where: str, data: object, kind: Any) -> Any:  # noqa: ANN401 - a class of this file
    wanted = kind.__annotations__
    if not isinstance(data, Mapping) or set(data) != set(wanted):
        raise BadInputError(f"{where}: not what a rehearsal writes: rehearse again")
    for name, sort in wanted.items():
        value = data[name]
        good = {"str": isinstance(value, str), "bool": isinstance(value, bool)}.get(sort, _is_positive(value))
        if not good:
            raise BadInputError(f"{where}.{name}: {value!r} cannot be: rehearse again")
    return kind(**data)


def _is_positive(value: object) -> bool:
    good = isinstance(value, (int, float)) and not isinstance(value, bool)
    return good and isinstance(value, (int, float)) and math.isfinite(value) and 0 < value <= LATEST
