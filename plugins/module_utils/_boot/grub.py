# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB: setting the kernel of the next boot, and the default.

Planned by running through grub.cfg with the environment block as it will be; done by GRUB's own tools, and read again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

from .._model.errors import RefusedError, SriovError, VerifyError
from .._system import durable
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import grub_reading, grub_try, grub_write
from .answer import Answer, Start
from .grub_reading import Configuration
from .volume import volume_of

SETTINGS = "/etc/default/grub.d/zz-kvmfleet-sriov.cfg"
"""Ours, and the last one that Debian's grub-mkconfig reads: GRUB_DEFAULT=saved."""
TEXT = "# The default is in grubenv (kvmfleet.sriov.boot_entry, grub-set-default).\nGRUB_DEFAULT=saved\n"


@dataclass(frozen=True)
class Grub:
    """GRUB with its files in ``folder``.

    ``evidence``: what shows that it is what boots; ``started_from``: the folder on the ESP that it is started from.
    """

    sysfs: Sysfs
    run: Run
    folder: str
    evidence: tuple[str, ...]
    started_from: str = ""
    name: str = "grub"

    def answer(self) -> Answer:
        found = self._read().answer(self.evidence)
        choices = tuple(one for one in found.choices if not one.entry.startswith(grub_try.PREFIX))
        return replace(found, choices=choices)

    def updated(self) -> Answer | None:
        """What would start after `update-grub`, None without grub-mkconfig."""
        after = grub_reading.regenerated(self._read(), self.run)
        return None if after is None else after.answer(self.evidence)

    def set_default(self, start: Start) -> None:
        """Make ``start`` the default.

        grub.cfg is written again only where it does not read the environment block.
        """
        kept = self.keep()
        try:
            self._make_block()
            now = self._read()
            planned = now.with_environment(saved_entry=start.entry, prev_saved_entry="")
            self._edit("set", f"saved_entry={start.entry}")
            if "prev_saved_entry" in now.environment:
                self._edit("unset", "prev_saved_entry")
            if not _starts(planned, start):  # last: until then the block says nothing, and then it is right
                self._read_the_block(planned, start)
            os.sync()
            found = self.answer().default
            if (found.kernel, found.pinned) != (start.kernel, True):
                raise VerifyError(f"GRUB's default was set to {start.entry}, and is {found.entry} ({found.kernel})")
        except BaseException:
            self.restore(kept)
            raise

    def set_once(self, start: Start | None, words: Sequence[str] = ()) -> None:
        """Try ``start`` at the next boot alone.

        Or with None nothing but the default.
        """
        kept = self.keep()
        try:
            self._make_block()
            before = self.answer()
            if start is not None:
                self._require_once(before)
                self._try(before, start, words)
            else:
                self._edit("unset", "next_entry")
                self._edit("unset", grub_try.FLAG)
            os.sync()
            found, wanted = self.answer(), before.default if start is None else start
            if (found.next.kernel, found.default.kernel) != (
                wanted.kernel,
                before.default.kernel,
            ) or not self._falls_back(start, found, before):
                raise VerifyError(f"the next boot was set to {wanted.kernel}, and is {found.next.kernel}")
        except BaseException:
            self.restore(kept)
            raise

    def own_entry(self) -> bool:
        """Whether grub-mkconfig has written grub.cfg, as it says itself."""
        return self.sysfs.exists(os.path.dirname(grub_try.SCRIPT)) and grub_try.WRITTEN in self._read().text

    def _falls_back(self, start: Start | None, found: Answer, before: Answer) -> bool:
        """Whether a tried kernel that cannot be loaded leads to the default."""
        if start is None or not found.next.entry.startswith(grub_try.PREFIX):
            return True
        return found.on_failure is not None and found.on_failure.kernel == before.default.kernel

    def _require_once(self, before: Answer) -> None:
        """Refuse what would start at every boot."""
        if before.no_once is not None:
            raise RefusedError(
                f"a kernel cannot be tried once here: {before.no_once}, so it would start at every boot. Put "
                "grubenv on a plain partition, or try the kernel by kexec"
            )

    def _try(self, before: Answer, start: Start, words: Sequence[str]) -> None:
        """Let the next boot alone start ``start``.

        By entries of ours, or by `next_entry` where grub.cfg was written by hand.
        """
        if not self.own_entry():
            self._plan_next_entry(before, start)
            self._edit("set", f"next_entry={start.entry}")
            return
        self.write_entries(before, start, words)
        self._edit("set", f"{grub_try.FLAG}={start.release}")

    def write_entries(self, before: Answer, start: Start, words: Sequence[str], folder: str = "") -> None:
        """Write entries of ours into grub.cfg.

        The one that tries ``start`` is for who was started from ``folder``, or by a flag without it.
        """
        if not before.default.pinned:
            raise RefusedError(
                f"the default ({before.default.entry}) is not pinned, and would be another one with entries of ours "
                f"before it: pin it first (`default={before.default.release}`)"
            )
        volume = volume_of(self.sysfs, self.folder)
        text = grub_try.script(before.default, start, volume, words, folder)
        durable.write_text(self.sysfs.real(grub_try.SCRIPT), text, 0o755)
        grub_write.configuration(self.sysfs, self.run, self.folder)

    def _plan_next_entry(self, before: Answer, start: Start) -> None:
        planned = self._read().with_environment(next_entry=start.entry).answer(self.evidence)
        if (planned.next.kernel, planned.default.kernel) != (start.kernel, before.default.kernel):
            raise RefusedError(
                f"{self.folder}/grub.cfg does not start `next_entry` once: with {start.entry} in it "
                f"{planned.next.kernel} would start, then {planned.default.kernel}. Write it again: update-grub"
            )

    def _read(self) -> Configuration:
        return grub_reading.read(self.sysfs, self.folder, self.started_from)

    def _read_the_block(self, planned: Configuration, start: Start) -> None:
        """Let grub.cfg take the default from the environment block.

        By a file of settings of ours.
        """
        path = self.sysfs.real(SETTINGS)
        if not self.sysfs.exists(os.path.dirname(SETTINGS)):
            raise RefusedError(
                f"{self.folder}/grub.cfg does not read the default from grubenv, and this GRUB has no "
                f"{os.path.dirname(SETTINGS)}: set GRUB_DEFAULT=saved and write grub.cfg again"
            )
        durable.write_text(path, TEXT, 0o644)
        after = grub_reading.regenerated(planned, self.run)
        if after is None or not _starts(after, start):
            raise RefusedError(
                f"with GRUB_DEFAULT=saved in {SETTINGS} grub-mkconfig writes a grub.cfg that does not start "
                f"{start.entry}: something in /etc/grub.d or a later file of settings decides otherwise"
            )
        grub_write.configuration(self.sysfs, self.run, self.folder)

    def _make_block(self) -> None:
        """Create the environment block, without which grub.cfg does not load it."""
        if not self.sysfs.exists(f"{self.folder}/grubenv"):
            self.run(["grub-editenv", self.sysfs.real(f"{self.folder}/grubenv"), "create"])

    def _edit(self, *words: str) -> None:
        self.run(["grub-editenv", self.sysfs.real(f"{self.folder}/grubenv"), *words])

    def keep(self) -> dict[str, bytes | None]:
        """Its files as they are, for `restore`."""
        names = (f"{self.folder}/grub.cfg", f"{self.folder}/grubenv", SETTINGS, grub_try.SCRIPT)
        return {name: self.sysfs.read_bytes(name, 4 << 20) if self.sysfs.exists(name) else None for name in names}

    def restore(self, kept: dict[str, bytes | None]) -> None:
        """Put the files back, what decides first."""
        for name, data in kept.items():
            path = self.sysfs.real(name)
            if data is None:
                durable.remove(path)
            elif not self.sysfs.exists(name) or self.sysfs.read_bytes(name, 4 << 20) != data:
                (grub_write.in_place if name.endswith("/grubenv") else grub_write.replace)(self.sysfs, name, data)
        os.sync()


def _starts(configuration: Configuration, start: Start) -> bool:
    try:
        default = configuration.answer(()).default
    except SriovError:
        return False
    return (default.kernel, default.pinned) == (start.kernel, True)
