# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""systemd-boot: what it starts, and setting it by `bootctl`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from .._model.command_line import split
from .._model.errors import VerifyError
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import efi
from .answer import Answer, Start, is_rescue, release_of
from .loader_entries import LoaderEntry, loader_conf_default, parse, select
from .unknown import UnknownBootError
from .volume import mount_of, require_mounted


@dataclass(frozen=True)
class SystemdBoot:
    """systemd-boot, by the EFI variable in which it names itself.

    Its memory is in EFI variables, which the firmware writes: a kernel is tried once whatever the file system.
    """

    sysfs: Sysfs
    run: Run
    evidence: tuple[str, ...]
    name: str = "systemd-boot"

    def answer(self) -> Answer:
        require_mounted(self.sysfs, "/boot", "/boot/efi", "/efi")
        entries = parse(self.run(["bootctl", "list", "--json=short"]))
        once = efi.text(self.sysfs, "LoaderEntryOneShot")
        lasting = [efi.text(self.sysfs, "LoaderEntryDefault"), loader_conf_default(self._configuration())]
        following, default = select(entries, [once, *lasting]), select(entries, lasting)
        shown = next((entry for entry in entries if entry.reported), None)
        if shown is not None and shown.id != following.id:
            raise UnknownBootError(f"bootctl says that {shown.id} starts next, its rules lead to {following.id}")
        rest = [entry for entry in entries if entry.id != default.id]
        # one without tries left is the last of the menu, and a name finds it there all the same (boot.c)
        spent = select([*rest, default], lasting) if default.tries_left is not None else default
        return Answer(
            self.name, self.evidence, self.start(following, lasting), self.start(default, lasting),
            self.start(spent, lasting) if spent.id != default.id else None, None, False,
            tuple(self.start(entry, [entry.id]) for entry in entries),
        )  # fmt: skip

    def own_entry(self) -> bool:
        """Whether a trial has an entry of its own: not here."""
        return False

    def updated(self) -> Answer | None:
        """None: what is there is never written again by installing another kernel."""
        return None

    def set_default(self, start: Start) -> None:
        before = efi.text(self.sysfs, "LoaderEntryDefault") or ""
        self._set("set-default", start, before)

    def set_once(self, start: Start | None, words: Sequence[str] = ()) -> None:
        before = efi.text(self.sysfs, "LoaderEntryOneShot") or ""
        self._set("set-oneshot", start, before)

    def _set(self, command: str, start: Start | None, before: str) -> None:
        """Set an EFI variable by bootctl, and read the answer again.

        An empty id takes it away.
        """
        try:
            self.run(["bootctl", command, start.entry if start else ""])
            answer = self.answer()
            found = answer.default if command == "set-default" else answer.next
            wanted = start or answer.default
            if found.entry != wanted.entry:
                raise VerifyError(f"'bootctl {command} {wanted.entry}' ended well, but {found.entry} starts")
        except BaseException:
            self.run(["bootctl", command, before])
            raise

    def start(self, entry: LoaderEntry, patterns: list[str | None]) -> Start:
        """The kernel file of an entry.

        It is pinned where its name is what a pattern has, without wildcards.
        """
        if entry.linux is None:
            return Start(entry.id, entry.title, None, None, (), entry.options, (), False)
        kernel = f"{entry.root.rstrip('/')}{entry.linux}" if entry.root else entry.linux
        initrd = tuple(f"{entry.root.rstrip('/')}{one}" if entry.root else one for one in entry.initrd)
        missing = tuple(path for path in (kernel, *initrd) if not os.path.isfile(self.sysfs.real(path)))
        release = release_of(kernel) or (entry.version if _holds(entry, entry.version) else None)
        first = next((one for one in patterns if one), None)
        pinned = first is not None and first.lower() == entry.id.lower() and release is not None
        return Start(
            entry.id, entry.title, kernel, release, initrd, entry.options, missing,
            pinned and not is_rescue(split(entry.options)),
        )  # fmt: skip

    def _configuration(self) -> str:
        """loader.conf of the ESP, empty without one.

        The ESP is the partition that systemd-boot has named, by its mount.
        """
        mark = efi.text(self.sysfs, "LoaderDevicePartUUID")
        device = None if mark is None else self.sysfs.link(f"/dev/disk/by-partuuid/{mark.lower()}")
        if device is None:
            raise UnknownBootError("systemd-boot does not say which partition it was started from")
        place = mount_of(self.sysfs, device)
        if place is None:
            raise UnknownBootError(f"the ESP {device}, from which systemd-boot was started, is not mounted: mount it")
        path = f"{place.rstrip('/')}/loader/loader.conf"
        return self.sysfs.read_bytes(path, 1 << 16).decode(errors="replace") if self.sysfs.exists(path) else ""


def _holds(entry: LoaderEntry, release: str) -> bool:
    """Whether an entry's file name or kernel path has a release.

    kernel-install writes TOKEN-RELEASE.conf and RELEASE/linux.
    """
    return bool(release) and (f"-{release}" in entry.id or f"/{release}/" in (entry.linux or ""))
