# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Migration of a fake QEMU.

Its guest is saved, copied while it runs, and loaded.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .devices import Devices
from .monitor import QemuRefusalError
from .script import REASONS, STATUSES

if TYPE_CHECKING:
    from .node import FakeNode

PAUSE = "pause-before-switchover"
CAPABILITIES = ("auto-converge", "mapped-ram", "multifd", "x-ignore-shared", PAUSE)


@dataclass
class LiveCopy:
    """A copy of a running guest, under way.

    ``before``: status of its guest before it waits for its end; empty until then.
    """

    path: str
    offset: int
    passes: int = 0
    written: int = 0
    before: str = ""


class Migration(Devices):
    """A QEMU that can be migrated to files and from them.

    ``guest``: the guest's heartbeat, a boot id and a counter; None before it is loaded.
    """

    status: str
    guest: dict[str, Any] | None

    def __init__(self, node: FakeNode, argv: list[str], unit: str, pid: int) -> None:
        super().__init__(node, argv, unit, pid)
        self.migration: dict[str, Any] = {}
        self.capabilities = dict.fromkeys(CAPABILITIES, False)
        self.parameters: dict[str, Any] = {
            "max-bandwidth": 1 << 27, "mode": "normal", "tls-creds": "", "multifd-channels": 2, "direct-io": False,
            "downtime-limit": 300, "avail-switchover-bandwidth": 0,
        }  # fmt: skip
        self.copy: LiveCopy | None = None
        self.result: dict[str, Any] = {}

    def do_migrate_set_capabilities(self, capabilities: list[dict[str, Any]]) -> None:
        unknown = [one["capability"] for one in capabilities if one["capability"] in self.script.lacks]
        if unknown:
            raise QemuRefusalError(f"Parameter 'capability' does not accept value '{unknown[0]}'")
        self.capabilities |= {one["capability"]: one["state"] for one in capabilities}

    def do_query_migrate_capabilities(self) -> list[dict[str, Any]]:
        have = {name: on for name, on in self.capabilities.items() if name not in self.script.lacks}
        return [{"capability": name, "state": on} for name, on in have.items()]

    def do_query_migrate_parameters(self) -> dict[str, Any]:
        return dict(self.parameters)

    def do_migrate_set_parameters(self, **parameters: object) -> None:
        self.parameters |= {name.replace("_", "-"): value for name, value in parameters.items()}

    def do_query_migrate(self) -> dict[str, Any]:
        if self.copy is not None and self.copy.before:
            return {"status": "pre-switchover"}
        if self.script.blocked and not self.migration:
            return {"blocked-reasons": self.script.blocked}
        if self.copy is not None:
            self._copy_on(self.copy)
        answer, self.migration, self.result = self.migration, self.result or self.migration, {}
        return dict(answer)

    def _give_up(self, status: str, **why: str) -> None:
        """End a migration with ``status``, after one of `ENDING`."""
        self.copy, self.result = None, {"status": status, **why}
        self.migration = {"status": "cancelling" if status == "cancelled" else "failing"}

    def _copy_on(self, copy: LiveCopy) -> None:
        """Write for the time between two questions."""
        held = int(self.parameters["max-bandwidth"]) < 1000
        if copy.passes > 0 and self._strikes_copy():
            return
        if self.script.copy == "fails" and copy.passes > 0:
            self._give_up("failed", **{"error-desc": "No space left on device"})
        elif self.status == "paused" or (self.script.copy == "idle" and copy.passes > 0):
            self._finish(copy)
        elif not held:
            size = 64 << 20 if self.script.copy == "hot" else 256 << 20 >> min(28, 4 * copy.passes)
            copy.passes, copy.written = copy.passes + 1, copy.written + size
            self.migration = {"status": "active", "ram": {
                "dirty-sync-count": copy.passes, "transferred": copy.written, "remaining": size,
            }}  # fmt: skip

    def _finish(self, copy: LiveCopy) -> None:
        """Write the rest; with `PAUSE`, wait before."""
        if self.capabilities[PAUSE] and not copy.before:
            copy.before, self.status, self.migration = self.status, "finish-migrate", {"status": "pre-switchover"}
            return
        self.copy, self.status = None, copy.before or self.status
        self._write(copy.path, copy.offset)

    def do_migrate_continue(self, state: str) -> None:
        if self.copy is None or not self.copy.before or state != "pre-switchover":
            raise QemuRefusalError("Migration not in expected state")
        self._finish(self.copy)

    def _strikes_copy(self) -> bool:
        kind = self.script.copy
        if kind in STATUSES:
            self.status = kind
        elif kind == "killed":
            self.end()
        elif kind.startswith("host-") and self.migration["status"] != "cancelling":
            self.migration = {"status": "cancelling"}
        elif kind in REASONS:
            self.shut_down(kind)
        return kind in (*STATUSES, *REASONS, "killed")

    def do_migrate(self, uri: str) -> None:
        path, offset = _file(uri)
        if self.script.migrate == "refused" or not os.path.isdir(os.path.dirname(path)):
            raise QemuRefusalError(f"Could not create '{path}': No such file or directory")
        if self.script.migrate == "fails":
            self._give_up("failed", **{"error-desc": "No space left on device"})
            return
        assert not self.devices, "a guest with VFs attached cannot be migrated"
        on = {name for name, state in self.capabilities.items() if state}
        assert on <= {"mapped-ram", "multifd", PAUSE}, "the state would be of another form"
        if "mapped-ram" in on and self.status == "running":
            self.copy = LiveCopy(path, offset)
            self.migration = {"status": "setup"}
            return
        self._write(path, offset)

    def _write(self, path: str, offset: int) -> None:
        """Write the guest as it is now, behind what is there."""
        form = sorted(name for name, on in self.capabilities.items() if on and name != PAUSE)
        state = {"guest": self.guest, "form": form}
        with open(path, "r+b" if os.path.exists(path) else "wb") as file:
            file.truncate(offset)
            file.seek(offset)
            file.write(json.dumps(state).encode())
            file.write(b"\x0bglobalstate" + bytes(12) + self.status.encode().ljust(100, b"\0"))
        self.migration = {"status": "completed"}
        self.status = "paused" if self.script.migrate == "stays" else "postmigrate"

    def do_migrate_cancel(self) -> None:
        if self.copy is not None and self.copy.before:
            self.status = self.copy.before
        self._give_up("cancelled")

    def do_migrate_incoming(self, uri: str, **_extra: object) -> None:
        if self.script.incoming == "exits":
            self.end()
            return
        if self.script.incoming == "fails":
            self.migration = {"status": "failed", "error-desc": "load of migration failed: Invalid argument"}
            return
        path, offset = _file(uri)
        with open(path, "rb") as file:
            file.seek(offset)
            state, _end = json.JSONDecoder().raw_decode(file.read().decode("latin-1"))
        on = sorted(name for name, turned in self.capabilities.items() if turned)
        if state["form"] != on:
            self.migration = {"status": "failed", "error-desc": f"capabilities are {state['form']}, here {on}"}
            return
        self.guest = state["guest"]
        self.migration, self.status = {"status": "completed"}, "paused"


def _file(uri: str) -> tuple[str, int]:
    """(path, offset) of a file: URI."""
    path, _comma, offset = uri.removeprefix("file:").partition(",offset=")
    return path, int(offset or 0)


def after(argv: list[str], option: str) -> str:
    return argv[argv.index(option) + 1]
