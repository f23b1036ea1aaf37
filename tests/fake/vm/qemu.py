# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake QEMU: a process with monitor, guest, VFs and disks.

Its guest is saved, ended and brought back, or fails to be. The answers are those of QEMU 10.0 (qapi/, and recorded from
10.0.2).
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

from .migration import Migration
from .monitor import QemuRefusalError, after

if TYPE_CHECKING:
    from .node import FakeNode


class FakeQemu(Migration):
    """A QEMU process, with ``argv`` as given to systemd-run."""

    def __init__(self, node: FakeNode, argv: list[str], unit: str, pid: int) -> None:
        super().__init__(node, argv, unit, pid)
        incoming = "-incoming" in argv
        self.status = "inmigrate" if incoming else "running"
        self.guest = None if incoming else {"boot": str(uuid.uuid4()), "n": 1}
        self.moved: dict[str, str] = {}
        self.jobs: list[dict[str, str]] = []
        self.plugged_bytes = 0
        for text in [value for option, value in zip(argv, argv[1:]) if option == "-device"]:
            device = dict(part.partition("=")[::2] for part in ("driver=" + text).split(","))
            if device["driver"] == "vfio-pci":
                self._plug(device)
        self._serve()

    def do_query_status(self) -> dict[str, Any]:
        if self.status == "finish-migrate" and self.copy is None:
            self.script.finishing -= 1
            self.status = "postmigrate" if self.script.finishing <= 0 else self.status
        return {"status": self.status, "running": self.status == "running"}

    def do_stop(self) -> None:
        if self.status == "running":  # one that stands still stays as it is (vm_stop of QEMU)
            self.status = "paused"

    def do_cont(self) -> None:
        if self.status == "inmigrate":
            return
        assert self.guest is not None
        if self.status == "finish-migrate":  # while its migration waits, too
            raise QemuRefusalError("Migration is not finalized yet")
        if self.script.cont == "refused":
            raise QemuRefusalError("Resetting the Virtual Machine is required")
        self.guest["n"] += 1
        self.status = "running"

    def do_system_powerdown(self) -> None:
        if self.script.power == "ok":
            self.shut_down("guest-shutdown")
        elif self.script.power == "stays":
            self._event("SHUTDOWN", guest=True, reason="guest-shutdown")
            self.status = "shutdown"

    def do_quit(self) -> None:
        if self.script.quit == "ok":
            self.ended_well = True
            self.end()
        elif self.script.quit == "lingers":
            self.alive = False
            self.server.close()

    def do_query_machines(self) -> list[dict[str, Any]]:
        return [{"name": "pc-q35-10.0", "alias": "q35"}, {"name": "pc-i440fx-10.0", "is-default": True}]

    def do_query_cpus_fast(self) -> list[dict[str, Any]]:
        return [{"cpu-index": number, "thread-id": self.pid + 10_000 + 10_000 * number} for number in range(2)]

    def do_query_iothreads(self) -> list[dict[str, Any]]:
        return [{"id": "io0", "thread-id": self.pid + 30_000}]

    def do_query_memory_size_summary(self) -> dict[str, int]:
        return {"base-memory": int(after(self.argv, "-m")) << 20, "plugged-memory": self.plugged_bytes}

    @property
    def disks(self) -> dict[str, str]:
        """Images by drive, those that were ``moved`` among them."""
        named = {drive.get("id", f"virtio{n}"): drive["file"] for n, drive in enumerate(drives(self.argv))}
        return {**named, **self.moved}

    def do_query_block(self) -> list[dict[str, Any]]:
        return [
            {"device": name, "qdev": f"/machine/peripheral/{name}-disk/virtio-backend",
             "inserted": {"file": path, "image": {"filename": path, "format": "raw"}}}
            for name, path in self.disks.items()
        ]  # fmt: skip

    def do_query_named_block_nodes(self) -> list[dict[str, Any]]:
        return [{"node-name": f"#{name}", "drv": "file", "file": path} for name, path in self.disks.items()]

    def do_query_block_jobs(self) -> list[dict[str, str]]:
        return self.jobs


def drives(argv: list[str]) -> list[dict[str, str]]:
    """Options of each -drive."""
    return [
        dict(part.partition("=")[::2] for part in value.split(","))
        for option, value in zip(argv, argv[1:]) if option == "-drive"
    ]  # fmt: skip
