# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A fake QEMU: a server of its monitor on a unix socket.

Its guest is saved, ended and brought back, or fails to be. The answers are those of QEMU 10.0 (qapi/, and recorded from
10.0.2).
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import threading
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from .node import FakeNode

PROPERTIES: dict[str, tuple[str, object]] = {
    "host": ("str", None), "sysfsdev": ("str", None), "addr": ("str", -1), "multifunction": ("bool", False),
    "rombar": ("int32", -1), "romfile": ("str", None), "romsize": ("uint32", 4294967295), "bootindex": ("int32", None),
    "failover_pair_id": ("str", None), "acpi-index": ("uint32", 0), "x-no-mmap": ("bool", False), "x-req":
    ("bool", True), "display": ("OnOffAuto", "off"), "x-msix-relocation": ("OffAutoPCIBAR", "off"), "vf-token":
    ("str", None), "x-nv-gpudirect-clique": ("uint8", None), "iommufd": ("link<iommufd>", None),
    "x-balloon-allowed": ("bool", False), "x-max-bounce-buffer-size": ("size", 4096),
}  # fmt: skip
"""Some properties of vfio-pci, as QEMU 10.0.2 lists them.

With type and default, None without one.
"""
UNSET = {"bootindex": -1, "romfile": "", "failover_pair_id": "", "x-nv-gpudirect-clique": 255, "vf-token":
         "00000000-0000-0000-0000-000000000000"}  # fmt: skip
"""Values of properties without a default that nobody has set."""
STATUSES = ("paused", "io-error", "guest-panicked", "internal-error", "shutdown", "suspended")
REASONS = ("guest-shutdown", "guest-reset", "guest-panic", "host-signal", "host-qmp-quit", "host-error")
"""Status of a guest, and reasons of the event SHUTDOWN (qapi/run-state.json)."""
CAPABILITIES = ("auto-converge", "mapped-ram", "multifd", "x-ignore-shared")
VERSION = {"qemu": {"major": 10, "minor": 0, "micro": 2}, "package": ""}


@dataclass
class Script:
    """Faults of a QEMU, by operation.

    ``unplug`` ok/never/refused/late (``late_s`` after it was asked), ``power`` ok/ignored/stays, ``migrate``
    ok/refused/fails/stays, ``incoming`` ok/fails/exits, ``add`` ok/fails/lost, ``busy``: how often a VF's group is
    busy, ``start`` ok/exits, ``quit`` ok/ignored/lingers, ``cont`` ok/refused, ``blinks``: how often a slot's power
    indicator blinks; ``blocked``: reasons of query-migrate; ``finishing``: how often a status is finish-migrate still.
    ``copy``: what its guest does while its memory is copied, busy/hot/idle/fails, or a reason of SHUTDOWN at which its
    QEMU ends, killed, or a status in which it stands from then on.
    """

    unplug: str = "ok"
    late_s: float = 0.0
    power: str = "ignored"
    migrate: str = "ok"
    incoming: str = "ok"
    add: str = "ok"
    busy: int = 0
    start: str = "ok"
    quit: str = "ok"
    cont: str = "ok"
    blinks: int = 0
    blocked: list[str] = field(default_factory=list)
    lacks: tuple[str, ...] = ()
    copy: str = "busy"
    finishing: int = 0
    hotplugged: list[str] = field(default_factory=list)
    answers: dict[str, object] = field(default_factory=dict)


@dataclass
class LiveCopy:
    """A copy of a running guest, under way."""

    path: str
    offset: int
    passes: int = 0
    written: int = 0


class QemuRefusalError(Exception):
    """A refusal that becomes an error answer."""


class FakeQemu:
    """A QEMU process, with ``argv`` as given to systemd-run.

    ``guest``: the guest's heartbeat, a boot id and a counter.
    """

    def __init__(self, node: FakeNode, argv: list[str], unit: str, pid: int) -> None:
        self.node, self.argv, self.unit, self.pid = node, argv, unit, pid
        self.name = _after(argv, "-name").split(",")[0].removeprefix("guest=")
        self.script = node.scripts.setdefault(self.name, Script())
        self.path = node.host.sysfs.real(_after(argv, "-qmp").removeprefix("unix:").split(",")[0])
        incoming = "-incoming" in argv
        self.status = "inmigrate" if incoming else "running"
        self.guest: dict[str, Any] | None = None if incoming else {"boot": str(uuid.uuid4()), "n": 1}
        self.migration: dict[str, Any] = {}
        self.capabilities = dict.fromkeys(CAPABILITIES, False)
        self.parameters: dict[str, Any] = {
            "max-bandwidth": 1 << 27, "mode": "normal", "tls-creds": "", "multifd-channels": 2, "direct-io": False,
            "downtime-limit": 300, "avail-switchover-bandwidth": 0,
        }  # fmt: skip
        self.copy: LiveCopy | None = None
        self.result: dict[str, Any] = {}
        self.devices: dict[str, dict[str, Any]] = {}
        self.pending: set[str] = set()
        self.lock = threading.RLock()
        self.stream: TextIO | None = None
        self.moved: dict[str, str] = {}
        self.jobs: list[dict[str, str]] = []
        self.plugged_bytes = 0
        self.plugged_later: set[str] = set()
        self.alive, self.ended_well = True, False
        self.commands: list[str] = []
        self._events: list[dict[str, Any]] = []
        for text in [value for option, value in zip(argv, argv[1:]) if option == "-device"]:
            device = dict(part.partition("=")[::2] for part in ("driver=" + text).split(","))
            if device["driver"] == "vfio-pci":
                self._plug(device)
        self._serve()

    def end(self) -> None:
        """End the process: its socket, its /proc entry, its use of VFs."""
        if not self.alive:
            return
        self.alive = False
        for device in self.devices.values():
            self._hold(device["host"], False)
        self.server.close()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path)
        shutil.rmtree(self.node.host.root / "proc" / str(self.pid), ignore_errors=True)

    def _serve(self) -> None:
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(self.path)
        self.server.listen(1)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while self.alive:
            try:
                connection, _address = self.server.accept()
            except OSError:
                return
            with contextlib.suppress(OSError), connection, connection.makefile("rw", encoding="utf-8") as stream:
                _send(stream, {"QMP": {"version": VERSION, "capabilities": []}})
                self.stream = stream
                for line in stream:
                    with self.lock:
                        self._answer(stream, json.loads(line))
                    if not self.alive:
                        break

    def _answer(self, stream: TextIO, request: dict[str, Any]) -> None:
        command = request["execute"]
        self.commands.append(command)
        self.node.commands.append((self.name, command))
        try:
            if command in self.script.answers:
                value = self.script.answers[command]
            else:
                value = getattr(self, "do_" + command.replace("-", "_"))(**request.get("arguments", {}))
            answer = {"return": {} if value is None else value, "id": request.get("id")}
        except QemuRefusalError as error:
            answer = {"error": {"class": "GenericError", "desc": str(error)}, "id": request.get("id")}
        self._send_events()
        if self.alive or command == "quit":
            _send(stream, answer)

    def _send_events(self) -> None:
        """Send events to whoever is connected; they are lost for others."""
        events = list(self._events)
        self._events.clear()
        if self.stream is not None:
            for event in events:
                _send(self.stream, event)

    def _event(self, name: str, **data: object) -> None:
        self._events.append({"event": name, "data": data, "timestamp": {"seconds": 0, "microseconds": 0}})

    def _hold(self, address: str, in_use: bool) -> None:
        vf = self.node.vf(address)
        if vf:
            vf.in_use = in_use

    def _plug(self, device: dict[str, Any]) -> None:
        vf = self.node.vf(device["host"])
        if self.script.busy:
            self.script.busy -= 1
            raise QemuRefusalError(f"vfio {device['host']}: failed to open /dev/vfio/9: Device or resource busy")
        if self.script.add == "fails" or vf is None or vf.driver != "vfio-pci":
            raise QemuRefusalError(f"vfio {device['host']}: no such host device")
        if self.script.add == "lost":
            return
        self.devices[device["id"]] = device
        self._hold(device["host"], True)
        self.node.plugged.append((self.name, device["host"], self.node.properties(device["host"])))

    def do_qmp_capabilities(self) -> None:
        pass

    def do_query_status(self) -> dict[str, Any]:
        if self.status == "finish-migrate":
            self.script.finishing -= 1
            self.status = "postmigrate" if self.script.finishing <= 0 else self.status
        return {"status": self.status, "running": self.status == "running"}

    def do_query_machines(self) -> list[dict[str, Any]]:
        return [{"name": "pc-q35-10.0", "alias": "q35"}, {"name": "pc-i440fx-10.0", "is-default": True}]

    def do_query_cpus_fast(self) -> list[dict[str, Any]]:
        return [{"cpu-index": number, "thread-id": self.pid + 10_000 + 10_000 * number} for number in range(2)]

    def do_query_iothreads(self) -> list[dict[str, Any]]:
        return [{"id": "io0", "thread-id": self.pid + 30_000}]

    def do_query_memory_size_summary(self) -> dict[str, int]:
        return {"base-memory": int(_after(self.argv, "-m")) << 20, "plugged-memory": self.plugged_bytes}

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

    def do_device_list_properties(self, typename: str) -> list[dict[str, Any]]:
        return [
            {"name": name, "type": kind} | ({} if default is None else {"default-value": default})
            for name, (kind, default) in PROPERTIES.items()
        ]

    def do_qom_list(self, path: str) -> list[dict[str, Any]]:
        if path != "/machine/peripheral":
            return [{"name": "type", "type": "string"}]
        kinds = dict.fromkeys(self.devices, "vfio-pci") | dict.fromkeys(self.script.hotplugged, "virtio-net-pci")
        return [{"name": name, "type": f"child<{kind}>"} for name, kind in [("rp1", "pcie-root-port"), *kinds.items()]]

    def do_qom_get(self, path: str, property: str) -> object:
        name = path.rsplit("/", 1)[1]
        if name in self.script.hotplugged and property == "hotplugged":
            return True
        if name.startswith(("rp", "slot")):
            return {"type": "pcie-root-port", "hotplug": True, "hotplugged": False}.get(property)
        device = self.devices.get(name)
        if device is None:
            raise QemuRefusalError(f"Device '{path}' not found")
        bus = device.get("bus", "pcie.0")
        known = {name: device.get(name, UNSET.get(name, default)) for name, (_kind, default) in PROPERTIES.items()}
        known |= {
            "parent_bus": f"/machine/peripheral/{bus}/{bus}", "addr": 0, "hotplugged": name in self.plugged_later,
            "sysfsdev": f"/sys/bus/pci/devices/{device['host']}",
            "iommufd": f"/objects/{device['iommufd']}" if "iommufd" in device else "",
        }  # fmt: skip
        if known.get(property) is None:
            raise QemuRefusalError(f"Property 'vfio-pci.{property}' not found")
        return known[property]

    def do_device_del(self, id: str) -> None:
        if self.script.blinks:
            self.script.blinks -= 1
            raise QemuRefusalError("Hot-unplug failed: guest is busy (power indicator blinking)")
        if self.script.unplug == "refused":
            self._event("DEVICE_UNPLUG_GUEST_ERROR", device=id, path=f"/machine/peripheral/{id}")
        elif self.script.unplug == "ok":
            self._release(id)
        elif self.script.unplug == "late":
            self.pending.add(id)
            timer = threading.Timer(self.script.late_s, self.answer_late)
            timer.daemon = True
            timer.start()

    def _release(self, id: str) -> None:
        self._hold(self.devices.pop(id)["host"], False)
        self._event("DEVICE_DELETED", path=f"/machine/peripheral/{id}/virtio-backend")
        self._event("DEVICE_DELETED", device=id, path=f"/machine/peripheral/{id}")

    def answer_late(self) -> None:
        """Release what was asked for, as a guest does at last."""
        with self.lock:
            for id in sorted(self.pending) if self.alive else ():
                self._release(id)
            self.pending.clear()
            with contextlib.suppress(OSError, ValueError):
                self._send_events()

    def do_system_powerdown(self) -> None:
        if self.script.power == "ok":
            self.shut_down("guest-shutdown")
        elif self.script.power == "stays":
            self._event("SHUTDOWN", guest=True, reason="guest-shutdown")
            self.status = "shutdown"

    def shut_down(self, reason: str) -> None:
        """End as after the event SHUTDOWN with this reason."""
        self._event("SHUTDOWN", guest=reason.startswith("guest"), reason=reason)
        self.ended_well = reason != "host-error"
        with contextlib.suppress(OSError, ValueError):
            self._send_events()
        self.end()

    def do_device_add(self, **device: object) -> None:
        self._plug(device)
        self.plugged_later.add(str(device["id"]))

    def do_stop(self) -> None:
        self.status = "paused"

    def do_cont(self) -> None:
        if self.status == "inmigrate":
            return
        assert self.guest is not None
        if self.status == "finish-migrate":
            raise QemuRefusalError("Migration is not finalized yet")
        if self.script.cont == "refused":
            raise QemuRefusalError("Resetting the Virtual Machine is required")
        self.guest["n"] += 1
        self.status = "running"

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
        held = int(self.parameters["max-bandwidth"]) < 1 << 20
        if copy.passes > 1 and self._strikes_copy():
            return
        if self.script.copy == "fails" and copy.passes > 1:
            self._give_up("failed", **{"error-desc": "No space left on device"})
        elif self.status == "paused" or (self.script.copy == "idle" and copy.passes > 1):
            self.copy = None
            self._write(copy.path, copy.offset)
        elif not held:
            size = 64 << 20 if self.script.copy == "hot" else 256 << 20 >> min(28, 4 * copy.passes)
            copy.passes, copy.written = copy.passes + 1, copy.written + size
            self.migration = {"status": "active", "ram": {
                "dirty-sync-count": copy.passes, "transferred": copy.written, "remaining": size,
            }}  # fmt: skip

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
        assert on <= {"mapped-ram", "multifd"}, "the state would be of another form"
        if "mapped-ram" in on and self.status == "running":
            self.copy = LiveCopy(path, offset)
            self.migration = {"status": "setup"}
            return
        self._write(path, offset)

    def _write(self, path: str, offset: int) -> None:
        """Write the guest as it is now, behind what is there."""
        state = {"guest": self.guest, "form": sorted(name for name, on in self.capabilities.items() if on)}
        with open(path, "r+b" if os.path.exists(path) else "wb") as file:
            file.truncate(offset)
            file.seek(offset)
            file.write(json.dumps(state).encode())
            file.write(b"\x0bglobalstate" + bytes(12) + self.status.encode().ljust(100, b"\0"))
        self.migration = {"status": "completed"}
        self.status = "paused" if self.script.migrate == "stays" else "postmigrate"

    def do_migrate_cancel(self) -> None:
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

    def do_quit(self) -> None:
        if self.script.quit == "ok":
            self.ended_well = True
            self.end()
        elif self.script.quit == "lingers":
            self.alive = False
            self.server.close()


def drives(argv: list[str]) -> list[dict[str, str]]:
    """Options of each -drive."""
    return [
        dict(part.partition("=")[::2] for part in value.split(","))
        for option, value in zip(argv, argv[1:]) if option == "-drive"
    ]  # fmt: skip


def _send(stream: TextIO, value: dict[str, Any]) -> None:
    stream.write(json.dumps(value) + "\r\n")
    stream.flush()


def _file(uri: str) -> tuple[str, int]:
    """(path, offset) of a file: URI."""
    path, _comma, offset = uri.removeprefix("file:").partition(",offset=")
    return path, int(offset or 0)


def _after(argv: list[str], option: str) -> str:
    return argv[argv.index(option) + 1]
