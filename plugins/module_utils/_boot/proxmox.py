# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxmox's boot tool: ESPs with kernels of their own, and a pin.

The tool writes the pin as the default of each ESP's boot loader, systemd-boot or GRUB (proxmox-kernel-helper,
zz-proxmox-boot). Its `--next-boot` is no one-shot: a service of the started system takes that pin back, so a kernel
that does not get there starts again. So a kernel is tried once by systemd-boot's own means, or not at all.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .._model.errors import RefusedError, SriovError, VerifyError
from .._readers.kernel_image import HEAD_BYTES
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import efi, grubenv, proxmox_esps
from .answer import Answer, Start
from .grub_files import BOOT, HostFiles
from .grub_reading import MAX_BYTES, Configuration
from .loader_entries import loader_conf_default, select
from .proxmox_esps import Esp
from .systemd_boot import SystemdBoot
from .unknown import UnknownBootError

PIN, NEXT_PIN = "/etc/kernel/proxmox-boot-pin", "/etc/kernel/next-boot-pin"
TOOL = "proxmox-boot-tool"
GRUB_EFI = "EFI/proxmox/grubx64.efi"


@dataclass(frozen=True)
class Proxmox:
    """ESPs of proxmox-boot-tool; every one must start the same."""

    sysfs: Sysfs
    run: Run
    evidence: tuple[str, ...]
    name: str = "proxmox-boot-tool"

    def answer(self) -> Answer:
        esps = proxmox_esps.read(self.sysfs, self.run)
        answers = [self._answer(esp) for esp in esps]
        for esp, answer in zip(esps[1:], answers[1:]):
            if (answer.next, answer.default) != (answers[0].next, answers[0].default):
                raise UnknownBootError(
                    f"ESP {esp.uuid} starts {answer.default.release} by default, ESP {esps[0].uuid} "
                    f"{answers[0].default.release}: {TOOL} refresh"
                )
        return answers[0]

    def own_entry(self) -> bool:
        """Whether a trial has an entry of its own: not here."""
        return False

    def updated(self) -> Answer | None:
        """None: a pin stays when kernels are installed."""
        return None

    def set_default(self, start: Start) -> None:
        before = self._pinned()
        try:
            self._pin(start.release)
            found = self.answer().default
            if (found.kernel, found.pinned) != (start.kernel, True):
                raise VerifyError(f"'{TOOL} kernel pin {start.release}' ended well, but {found.kernel} is the default")
        except BaseException:
            self._pin(before)
            raise

    def set_once(self, start: Start | None, words: Sequence[str] = ()) -> None:
        answer = self.answer()
        if start is not None and answer.no_once is not None:
            raise RefusedError(f"kernel {start.release} cannot be tried once: {answer.no_once}. Try it by kexec")
        if start is not None and not answer.default.pinned:
            raise RefusedError(f"pin the kernel that is to stay first: {TOOL} kernel pin {answer.default.release}")
        before = efi.text(self.sysfs, "LoaderEntryOneShot") or ""
        try:
            self.run(["bootctl", "set-oneshot", start.entry if start else ""])
            found, wanted = self.answer().next, start or answer.default
            if found.kernel != wanted.kernel:
                problem = f"{found.entry} starts next, not {wanted.entry}"
                raise VerifyError(f"'bootctl set-oneshot' ended well, but {problem}")
        except BaseException:
            self.run(["bootctl", "set-oneshot", before])
            raise

    def _pin(self, release: str | None) -> None:
        """Pin a kernel, or none, and write all ESPs anew."""
        if release is None:
            self.run([TOOL, "kernel", "unpin"])
        else:
            self.run([TOOL, "kernel", "unpin", "--next-boot"])
            self.run([TOOL, "kernel", "pin", release])
        self.run([TOOL, "refresh"])

    def _pinned(self, path: str = PIN) -> str | None:
        lines = self.sysfs.read(path).splitlines() if self.sysfs.exists(path) else []
        return lines[0].strip() or None if lines else None

    def _answer(self, esp: Esp) -> Answer:
        grub = not efi.is_efi(self.sysfs) or self.sysfs.exists(f"{esp.folder}/{GRUB_EFI}")
        found = self._of_grub(esp) if grub else self._of_systemd_boot(esp)
        return replace(
            found, loader=self.name, evidence=self.evidence, next=self._on_host(esp, found.next),
            default=self._on_host(esp, found.default),
            on_failure=None if found.on_failure is None else self._on_host(esp, found.on_failure),
            choices=tuple(self._on_host(esp, one) for one in found.choices),
        )  # fmt: skip

    def _of_grub(self, esp: Esp) -> Answer:
        folder = f"{esp.folder}/grub"
        if not self.sysfs.exists(f"{folder}/grub.cfg"):
            raise UnknownBootError(f"ESP {esp.uuid} has neither GRUB's configuration nor systemd-boot's: {TOOL} reinit")
        text = self.sysfs.read_bytes(f"{folder}/grub.cfg", MAX_BYTES).decode(errors="surrogateescape")
        block, environment = f"{folder}/grubenv", {}
        if self.sysfs.exists(block):
            environment = grubenv.parse(self.sysfs.read_bytes(block, grubenv.SIZE + 1))
        files = HostFiles(self.sysfs, esp.volume())
        no_once = f"`{TOOL} kernel pin --next-boot` is taken back by the started system alone, so a kernel that does "
        no_once += "not get there would start again"
        return replace(Configuration(text, environment, f"({BOOT})/grub", files, None).answer(()), no_once=no_once)

    def _of_systemd_boot(self, esp: Esp) -> Answer:
        path = f"{esp.folder}/loader/loader.conf"
        if not self.sysfs.exists(path):
            raise UnknownBootError(f"ESP {esp.uuid} has no loader.conf: {TOOL} reinit")
        text = self.sysfs.read_bytes(path, MAX_BYTES).decode(errors="replace")
        once = efi.text(self.sysfs, "LoaderEntryOneShot")
        lasting = [efi.text(self.sysfs, "LoaderEntryDefault"), loader_conf_default(text)]
        entries = proxmox_esps.entries(self.sysfs, esp)
        made = SystemdBoot(self.sysfs, self.run, ())
        following, default = select(entries, [once, *lasting]), select(entries, lasting)
        return Answer(
            self.name, (), made.start(following, lasting), made.start(default, lasting), None, None, False,
            tuple(made.start(entry, [entry.id]) for entry in entries),
        )  # fmt: skip

    def _on_host(self, esp: Esp, start: Start) -> Start:
        """The same with files of /boot, which the ESP has copies of.

        Raises `UnknownBootError` for a copy that is not what /boot has.
        """
        if start.kernel is None or start.release is None:
            return start
        kernel, initrd = f"/boot/vmlinuz-{start.release}", f"/boot/initrd.img-{start.release}"
        for copied, own in ((start.kernel, kernel), *((one, initrd) for one in start.initrd)):
            if copied not in start.missing and self._differs(copied, own):
                raise UnknownBootError(f"ESP {esp.uuid} has another {os.path.basename(own)} than /boot: {TOOL} refresh")
        waits = self._pinned(NEXT_PIN)
        pinned = start.pinned and (waits is None or waits == self._pinned())
        return replace(start, kernel=kernel, initrd=tuple(initrd for _one in start.initrd), pinned=pinned)

    def _differs(self, one: str, other: str) -> bool:
        try:
            sizes = {os.stat(self.sysfs.real(path)).st_size for path in (one, other)}
            return len(sizes) > 1 or len({self.sysfs.read_bytes(path, HEAD_BYTES) for path in (one, other)}) > 1
        except (OSError, SriovError):
            return True
