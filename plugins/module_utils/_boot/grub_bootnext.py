# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel tried by BootNext, where GRUB cannot write.

The firmware takes BootNext back before it starts what that names. Here this is a copy of the host's own GRUB, and of
its shim, in a folder of ours on the ESP; it reads the same grub.cfg, where an entry of ours starts for who was started
from that folder (`cmdpath`). So the kernel that is tried meets the firmware, GRUB and its entry, as by default.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .._model.errors import KernelError, RefusedError, VerifyError
from .._system import durable
from .._system.sysfs import Sysfs
from . import efi, efi_options, firmware
from .answer import Answer, Start
from .efi_options import Option
from .firmware import TRIAL
from .grub import Grub
from .volume import is_read_only, mount_of

FOLDER = "/EFI/kvmfleet"
TITLE = "Linux, tried once (kvmfleet.sriov)"
NAME = f"Boot{TRIAL:04X}"
NOT_COPIED = "fb"
"""Begin of shim's fallback program, which would write load options."""


@dataclass(frozen=True)
class GrubByFirmware:
    """GRUB, started by the firmware through ``origin``."""

    sysfs: Sysfs
    inner: Grub
    origin: Option
    name: str = "grub"

    def own_entry(self) -> bool:
        return self.inner.own_entry()

    def updated(self) -> Answer | None:
        return self.inner.updated()

    def set_default(self, start: Start) -> None:
        self.inner.set_default(start)

    def answer(self) -> Answer:
        found, number = self.inner.answer(), firmware.waiting(self.sysfs)
        if found.no_once is not None:
            problem = self._lacks()
            found = replace(
                found, no_once=None if problem is None else f"{found.no_once}, and not by BootNext: {problem}"
            )
        if number is None:
            return found
        ours = number == TRIAL and self._is_whole()
        return replace(found, next=self._tried() if ours else firmware.start_of(self.sysfs, number))

    def set_once(self, start: Start | None, words: Sequence[str] = ()) -> None:
        """Try ``start`` at the next boot alone.

        By GRUB's own means where it has them.
        """
        firmware.refuse_waiting(self.sysfs)
        efi.delete(self.sysfs, "BootNext")
        if start is None or self.inner.answer().no_once is None:
            self.inner.set_once(start, words)
            return
        problem = self._lacks()
        if problem is not None:
            raise RefusedError(f"kernel {start.release} cannot be tried once: {problem}. Try it by kexec")
        kept = self.inner.keep()
        try:
            self._try(start, words)
        except BaseException:
            efi.delete(self.sysfs, "BootNext")
            self.inner.restore(kept)
            raise

    def _try(self, start: Start, words: Sequence[str]) -> None:
        """Entries, then programs, then the load option; BootNext comes last."""
        before = self.inner.answer()
        self.inner.write_entries(before, start, words, FOLDER)
        self._copy()
        data = efi.variable(self.sysfs, self.origin.name, efi.GLOBAL) or b""
        name = os.path.basename(self.origin.file or "")
        wanted = efi_options.of_another_file(data, TITLE, f"{FOLDER}/{name}")
        efi.delete(self.sysfs, NAME)
        efi.write(self.sysfs, NAME, wanted)
        os.sync()
        efi.write(self.sysfs, "BootNext", TRIAL.to_bytes(2, "little"))
        found = self.answer()
        if efi.variable(self.sysfs, NAME, efi.GLOBAL) != wanted or (
            (found.next.kernel, found.default.kernel) != (start.kernel, before.default.kernel)
            or found.on_failure is None
            or found.on_failure.kernel != before.default.kernel
        ):
            raise VerifyError(
                f"the next boot was set to {start.kernel} by BootNext, and the firmware says {found.next.entry} "
                f"({found.next.kernel}): some firmware does not take it"
            )

    def _tried(self) -> Start:
        """What GRUB starts that is started from our folder."""
        return replace(self.inner, started_from=FOLDER).answer().next

    def _is_whole(self) -> bool:
        """Whether our option starts a copy of the default program."""
        one, place = efi.option(self.sysfs, TRIAL), self._esp()
        if one is None or one.file is None or place is None or os.path.dirname(one.file) != FOLDER:
            return False
        copied, own = (firmware.find_file(self.sysfs.real(place), file) for file in (one.file, self.origin.file or ""))
        try:
            return copied is not None and own is not None and _data(copied) == _data(own)
        except OSError:
            return False

    def _lacks(self) -> str | None:
        """Why BootNext cannot be used, None where it can."""
        if not self.inner.own_entry():
            return "grub.cfg is not written by grub-mkconfig"
        if is_read_only(self.sysfs, efi.VARIABLES):
            return f"{efi.VARIABLES} is mounted read-only"
        place = self._esp()
        if place is None:
            return f"the ESP of {self.origin} is not mounted"
        if is_read_only(self.sysfs, place):
            return f"{place} is mounted read-only"
        other = efi.option(self.sysfs, TRIAL)
        return None if other is None or other.title == TITLE else f"{other} is there, and is not ours"

    def _esp(self) -> str | None:
        """Where the partition is mounted that has the program."""
        device = self.sysfs.link(f"/dev/disk/by-partuuid/{self.origin.partition}")
        return None if device is None else mount_of(self.sysfs, device)

    def _copy(self) -> None:
        """Copy the programs of the default's folder, and its grub.cfg."""
        place = self.sysfs.real(self._esp() or "")
        source = os.path.dirname(firmware.find_file(place, self.origin.file or "") or "")
        target = place.rstrip("/") + FOLDER
        try:
            shutil.rmtree(target, ignore_errors=True)
            os.makedirs(target, mode=0o700)
            for name in sorted(os.listdir(source)):
                if name.lower() == "grub.cfg" or (
                    name.lower().endswith(".efi") and not name.lower().startswith(NOT_COPIED)
                ):
                    durable.write_bytes(os.path.join(target, name), _data(os.path.join(source, name)), 0o600)
        except OSError as error:
            raise KernelError("copy", f"{source} to {target}", error.errno or 0) from error


def _data(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()
