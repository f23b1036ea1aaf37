# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Encrypted volumes whose contents no later boot can read.

Their key is made anew at each boot, each boot formats them, or nobody knows their key.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from .._model.paths import BLOCK_DEVICES, LIVE_UPDATE, PROGRAM
from .._system.sysfs import Sysfs
from .._vm import storage
from .._vm.images import UNCHECKED
from .._vm.vm_facts import VmFacts
from . import crypttab
from .crypttab import Entry
from .finding import Finding
from .locked_volumes import device_of, text

CRYPT, PLAIN = "CRYPT-", "CRYPT-PLAIN-"
"""Beginnings of /sys/block/dm-N/dm/uuid (cryptsetup, lib/libdevmapper.c)."""
KEEP = "move it to a disk, or to an encrypted volume whose key is kept (cryptsetup luksFormat)"


@dataclass(frozen=True)
class Lost:
    """A volume that a kexec empties.

    ``what``: a use of it, in words; ``why`` has the line of crypttab.
    """

    what: str
    volume: str
    why: str
    fix: str


def find(sysfs: Sysfs, vms: Sequence[VmFacts]) -> Iterator[Lost]:
    """Find such volumes below the states, the program and images of VMs.

    The topmost for each.
    """
    entries = crypttab.parse(text(sysfs, crypttab.PATH))
    sources = {entry.number: device_of(sysfs, entry.source) for entry in entries}
    seen: dict[str, tuple[str, str, str] | None] = {}
    for what, path in _uses(vms):
        there = path
        while not sysfs.exists(there) and there != os.path.dirname(there):
            there = os.path.dirname(there)
        for layer in storage.layers(sysfs, there):
            if layer not in seen:
                seen[layer] = next(_of_layer(sysfs, layer, entries, sources), None)
            found = seen[layer]
            if found is not None:
                yield Lost(what, *found)
                break


def check(lost: Sequence[Lost]) -> Iterator[Finding]:
    """Refusals, each with the volume and the line of crypttab."""
    for one in lost:
        yield Finding("volume-lost", f"{one.what} is on {one.volume}, {one.why}", one.fix)


def _uses(vms: Sequence[VmFacts]) -> Iterator[tuple[str, str]]:
    yield from ((path, path) for path in (LIVE_UPDATE, PROGRAM))
    for vm in vms:
        for image in vm.images:
            if image.kind != UNCHECKED:
                yield f"VM {vm.name} (process {vm.pid}): image {image.name}", image.name


def _of_layer(
    sysfs: Sysfs, layer: str, entries: Sequence[Entry], sources: dict[int, str]
) -> Iterator[tuple[str, str, str]]:
    """Volume, reason and fix where a device's contents will be lost."""
    uuid, name = (text(sysfs, f"{BLOCK_DEVICES}/{layer}/dm/{file}") for file in ("uuid", "name"))
    below = [layer, *sysfs.names(f"{BLOCK_DEVICES}/{layer}/slaves")] if uuid else [layer]
    own = [entry for entry in entries if uuid.startswith(CRYPT) and entry.name == name]
    others = [entry for entry in entries if entry not in own and sources[entry.number] in below]
    volume = f"/dev/mapper/{name}" if name else f"/dev/{layer}"
    for entry in (*own, *(one for one in others if sources[one.number] == layer)):
        reason = _anew(sysfs, entry)
        if reason is not None:
            line = f"line {entry.number} of {crypttab.PATH} ({entry.name})"
            how = f"which {line} opens {reason}" if entry in own else f"on which {line} makes a volume {reason}"
            yield volume, f"{how}: after the kexec it is empty", KEEP
    if uuid.startswith(PLAIN) and not own and not others:
        yield (
            volume, f"plain dm-crypt that no line of {crypttab.PATH} opens: after the kexec nobody may know its key",
            f"{KEEP}; or write such a line, with its key, and noauto where something else opens it",
        )  # fmt: skip


def _anew(sysfs: Sysfs, entry: Entry) -> str | None:
    """How a boot makes a volume anew, None when it does not."""
    key = entry.key or ""
    real = storage.inside(sysfs, key) if key.startswith("/") and "\0" not in key else key
    if {key, real}.intersection(crypttab.RANDOM):
        return f"with a new key at each boot ({key})"
    option = next((one for one in crypttab.FORMATTING if one in entry.options), None)
    return f"and formats at each boot (option {option})" if option else None
