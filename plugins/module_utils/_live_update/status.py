# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Status and result of this host's live update, as files.

status.json has its phase, result.json what it did.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from .._model.errors import BadInputError
from .._system import durable
from .._system.update_folder import FINAL, RESULT, STATUS, Folder
from .machine import LiveHost
from .manifest import Manifest

TIME: tuple[type, ...] = (int, float, type(None))
PHASE: dict[str, tuple[type, ...]] = {"name": (str,), "start": (int, float), "end": TIME}
VM: dict[str, tuple[type, ...]] = {
    "name": (str,), "vfs": (list,), "paused_at": TIME, "stopped_at": TIME, "saved_at": TIME, "resumed_at": TIME,
    "result": (str,), "error": (str, type(None)),
}  # fmt: skip
"""Members of phases and VMs in a result."""


@dataclass
class Progress:
    """Writer of both files as the update goes on.

    The result keeps phases and VMs of the part before the kexec. ``boot_id`` is that of the kernel that runs this part;
    times are seconds since the epoch (realtime clock: the monotonic one restarts at kexec). ``on_step``: called at each
    step, with whether a guest is about to run.
    """

    folder: Folder
    manifest: str
    boot_id: str
    result: dict[str, Any]
    now: Callable[[], float] = time.time
    on_step: Callable[[bool], None] = lambda _guest_runs: None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def enter(self, phase: str, message: str = "") -> None:
        """End the open phase, begin ``phase``; durable before it returns."""
        self.on_step(False)
        with self._lock:
            stamp = self.now()
            self._close(stamp)
            if phase not in FINAL:
                self.result["phases"].append({"name": phase, "start": stamp, "end": None})
            self._write(phase, stamp, message)

    def vm(self, name: str) -> dict[str, Any]:
        """A VM's values in the result."""
        with self._lock:
            return dict(self._vm(name))

    def update_vm(self, name: str, **values: object) -> None:
        """Set values of one VM in the result.

        Kept in memory until the next `enter` or `finish`.
        """
        self.on_step(False)
        with self._lock:
            self._vm(name).update(values)

    def _vm(self, name: str) -> dict[str, Any]:
        vm: dict[str, Any] | None = next((item for item in self.result["vms"] if item["name"] == name), None)
        if vm is None:
            vm = {"name": name, "vfs": [], "paused_at": None, "stopped_at": None, "saved_at": None, "resumed_at": None,
                  "result": "untouched", "error": None}  # fmt: skip
            self.result["vms"].append(vm)
        return vm

    def finish(self, phase: str, result: str, error: str | None = None, **facts: object) -> None:
        """End this part of the update: result.json, then status.json.

        In this order, so that a final status always finds its result.
        """
        with self._lock:
            stamp = self.now()
            self._close(stamp)
            self.result.update(result=result, error=error, **facts)
            self._write(phase, stamp, error or "")

    def note(self, phase: str, message: str) -> None:
        """Write both files in the phase that is under way."""
        with self._lock:
            self._write(phase, self.now(), message)

    def _close(self, stamp: float) -> None:
        for item in self.result["phases"]:
            if item["end"] is None:
                item["end"] = stamp

    def _write(self, phase: str, stamp: float, message: str) -> None:
        durable.write_json(os.path.join(self.folder.path, RESULT), self.result)
        write_status(self.folder, self.manifest, phase, self.boot_id, stamp, message)


def write_status(folder: Folder, manifest: str, phase: str, boot_id: str, stamp: float, message: str = "") -> None:
    value = {"manifest": manifest, "phase": phase, "boot_id": boot_id, "time": stamp, "message": message}
    durable.write_json(os.path.join(folder.path, STATUS), value)


def read_result(folder: Folder) -> dict[str, Any] | None:
    """Read the result, None without one.

    Raises `BadInputError` for one that `Progress` could not go on with.
    """
    found, path = folder.read_result(), os.path.join(folder.path, RESULT)
    for name, kinds in (("phases", PHASE), ("vms", VM)) if found is not None else ():
        items = found.get(name) if found is not None else None
        if not isinstance(items, list) or not all(_has(item, kinds) for item in items):
            raise BadInputError(f"{path}.{name}: not of the result of a live update")
    return found


def _has(item: object, kinds: Mapping[str, tuple[type, ...]]) -> bool:
    return isinstance(item, dict) and all(name in item and isinstance(item[name], kinds[name]) for name in kinds)


def progress_of(host: LiveHost, manifest: Manifest) -> Progress:
    """Continue the result of this update; begin one where there is none.

    Every phase begins with this, whichever process and kernel it runs in.
    """
    result = read_result(host.folder)
    if result is None or result.get("manifest") != manifest.id:
        result = new_result(manifest.id, manifest.host, manifest.kernel.release_before)
        result["pfs"] = [pf.pf for pf in manifest.pfs]
    result["used_ids"] = {pf: sorted(ids) for pf, ids in manifest.used_ids().items()}
    return Progress(host.folder, manifest.id, host.boot_id(), result, host.now)


def new_result(manifest: str, host: str, kernel_before: str) -> dict[str, Any]:
    """An empty result with all keys."""
    return {
        "manifest": manifest, "host": host, "kernel_before": kernel_before, "kernel_after": None, "interface": None,
        "pfs": [], "vfs_enabled": {}, "used_ids": {}, "present_ids_at_first_restore": {},
        "present_ids_at_last_restore": {}, "vfs_present_at_end": {}, "phases": [], "vms": [], "result": None,
        "error": None,
    }  # fmt: skip
