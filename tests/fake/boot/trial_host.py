# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host for trials of kernels: boots, units and a clock."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import auto_kexec, guard, trial
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.answer import Answer, Start
from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot.unknown import UnknownBootError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs

from . import kernel

OLD, NEW = "6.1.0-18-amd64", "6.12.9-kvmfleet1"
ROUTE = '[{"dst":"default","gateway":"10.0.0.1","dev":"eno1"}]'


def start(release: str, **more: Any) -> Start:  # noqa: ANN401 - fields of several types
    made = Start(f"linux-{release}", release, f"/boot/vmlinuz-{release}", release, (), "root=/dev/sda", (), True)
    return replace(made, **more)


@dataclass
class Host:
    """A host, and the boot loader that it has.

    ``once`` and ``default`` are releases.
    """

    folder: Path
    default: str = OLD
    once: str | None = None
    own: bool = True
    name: str = "grub"
    words: tuple[str, ...] = ()
    failed: list[str] = field(default_factory=list)
    fails: dict[str, str] = field(default_factory=dict)
    answers: bool = True
    state: str = "running"
    vms: list[str] = field(default_factory=list)
    unknown: bool = False
    waits: bool = False
    words_of_new: str = "root=/dev/sda"
    unloads: bool = True
    changes: dict[str, Any] = field(default_factory=dict)
    calls: list[list[str]] = field(default_factory=list)
    clock: float = 0.0
    at: dict[int, Callable[[], object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for release in (OLD, NEW):
            self.put(f"boot/vmlinuz-{release}", kernel.image(release))
        self.put("sys/class/net/eno1/carrier", b"1\n")
        self.boot(OLD, "b0")

    @property
    def sysfs(self) -> Sysfs:
        return Sysfs(str(self.folder))

    def put(self, name: str, data: bytes) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def boot(self, release: str, boot_id: str, loader: int = 114) -> None:
        self.once = None
        for name, text in (
            ("osrelease", release), ("version", kernel.version(release)), ("random/boot_id", boot_id),
            ("bootloader_type", str(loader)),
        ):  # fmt: skip
            self.put(f"proc/sys/kernel/{name}", f"{text}\n".encode())

        self.put("proc/cmdline", f"BOOT_IMAGE=/vmlinuz-{release} root=/dev/sda panic=30\n".encode())

    def answer(self) -> Answer:
        if self.unknown:
            raise UnknownBootError("nothing is known")
        default = start(self.default, **self.changes)
        return Answer(
            "grub", (), start(self.once) if self.once else default, default, None, None, self.waits,
            (start(OLD), start(NEW, command_line=self.words_of_new)),
        )  # fmt: skip

    def own_entry(self) -> bool:
        return self.own

    def updated(self) -> Answer | None:
        return None

    def set_default(self, wanted: Start) -> None:
        self.default = wanted.release or ""

    def set_once(self, wanted: Start | None, words: Sequence[str] = ()) -> None:
        if "set_once" in self.fails:
            raise ToolError(["grub-editenv"], 1, self.fails["set_once"])
        self.once, self.words = (wanted.release if wanted else None), tuple(words)

    def run(self, argv: Sequence[str]) -> str:
        self.calls.append(list(argv))
        if argv[0] in self.fails:
            raise ToolError(argv, 1, self.fails[argv[0]])
        if argv[0] == "ip":
            return ROUTE if argv[1] == "-4" else "[]"
        if argv[:2] == ["systemctl", "list-units"]:
            return "".join(f"{name} loaded failed failed X\n" for name in self.failed)
        if "--property=SystemState" in argv:
            return self.state + "\n"
        return "0\n" if argv[:2] == ["systemctl", "show"] else ""

    def sleep(self, seconds: float) -> None:
        self.clock += seconds
        self.at.pop(round(self.clock), lambda: None)()

    def guard(self) -> int:
        made = guard.Guard(
            self.sysfs, self.run, lambda: self.vms, lambda line: None, self.unload, lambda *_: self,
            lambda *_: self.answers, lambda: self.clock, self.sleep,
        )  # fmt: skip
        return made.watch()

    def unload(self) -> None:
        if self.unloads:
            self.put("sys/kernel/kexec_loaded", b"0\n")

    @property
    def phase(self) -> str:
        found = trial.load(self.sysfs)
        return found.phase if found else "none"

    @property
    def reason(self) -> str:
        found = trial.load(self.sysfs)
        return found.reason if found else ""

    @property
    def rebooted(self) -> bool:
        return list(auto_kexec.REBOOT) in self.calls
