# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB: what it starts, read as it reads it itself.

grub.cfg and the environment block are run through, once for the next boot and once more for the boot after it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, replace

from .._model import command_line
from .._model.errors import KernelError, ToolError
from .._system.process import Run
from .._system.sysfs import Sysfs
from . import grub_menu, grubenv
from .answer import Answer, Start, is_rescue, release_of
from .grub_commands import LINUX
from .grub_files import BOOT, HostFiles
from .grub_menu import Choice, Menu
from .unknown import UnknownBootError
from .volume import require_mounted, volume_of

MAX_BYTES = 4 << 20
MAX_LINKS = 8
"""As many as GRUB follows (GRUB_FSHELP_MAX_SYMLINK_CNT)."""


@dataclass(frozen=True)
class Configuration:
    """GRUB's files of a host.

    The text of grub.cfg, the environment block, and who reads them.
    """

    text: str
    environment: dict[str, str]
    prefix: str
    files: HostFiles
    not_writable: str | None
    started_from: str = ""

    def menu(self, environment: dict[str, str]) -> Menu:
        return grub_menu.read(self.text, environment, self.prefix, self.files, self.started_from)

    def answer(self, evidence: tuple[str, ...]) -> Answer:
        """What starts; raises `UnknownBootError`."""
        now = self.menu(self.environment)
        first = now.default()
        second = self.menu(self._after(first)).default()
        third = self.menu(self._after(second)).default()
        following, default = self.start(first), self.start(second)
        if self.start(third).kernel != default.kernel:
            then = self.start(third).release
            raise UnknownBootError(f"its default moves with each boot: {default.release}, then {then}")
        fallback = self.menu(self._after(first)).fallback()
        return Answer(
            "grub", evidence, following, default, None if fallback is None else self.start(fallback),
            self.not_writable, now.waits(), tuple(self.start(one) for one in now.entries()),
        )  # fmt: skip

    def _after(self, choice: Choice) -> dict[str, str]:
        """The environment block that a boot leaves.

        As before, where GRUB cannot write to it.
        """
        if self.not_writable is not None:
            return self.environment
        if None in choice.environment.values():
            raise UnknownBootError("a boot saves in the environment block what only that boot shows")
        return {name: value for name, value in choice.environment.items() if value is not None}

    def start(self, choice: Choice) -> Start:
        """The kernel file of a choice, on this host."""
        loaded = choice.loaded
        words = [word for word in (loaded.words if loaded else ()) if word is not None]
        title = " > ".join(choice.titles)
        if loaded is None or loaded.command not in LINUX or not words or loaded.words[0] is None:
            return Start(choice.path, title, None, None, (), "", (), False)
        kernel = self._file(words[0], loaded.root)
        release = None if kernel is None else release_of(kernel)
        initrd = tuple(self._file(word, loaded.root) or word for word in loaded.initrd if word is not None)
        missing = tuple(path for path in (kernel, *initrd) if path and not self._exists(path))
        last = (choice.path.rpartition(">")[2], choice.titles[-1])
        named = set(choice.how) == {"name"} and release is not None and any(_names(text, release) for text in last)
        pinned = named and not is_rescue(words[1:])
        return Start(choice.path, title, kernel, release, initrd, command_line.joined(words[1:]), missing, pinned)

    def _exists(self, path: str) -> bool:
        return os.path.isfile(self.files.sysfs.real(path))

    def _file(self, path: str, root: str | None) -> str | None:
        """The file on the host that links lead to."""
        for _number in range(MAX_LINKS):
            found = self.files.to_host(path, root)
            target = None if found is None else _link(self.files.sysfs, found)
            if target is None:
                return found
            path = os.path.join(os.path.dirname(path), target)
        raise UnknownBootError(f"{path} is a link of more than {MAX_LINKS} links")

    def with_environment(self, **changes: str) -> Configuration:
        """The same with other values in the environment block.

        An empty one is taken out.
        """
        environment = {name: value for name, value in {**self.environment, **changes}.items() if value}
        return replace(self, environment=environment)


def _link(sysfs: Sysfs, path: str) -> str | None:
    """The target of a link, None for a file."""
    try:
        return sysfs.target(path)
    except KernelError:
        return None


def _names(text: str, release: str) -> bool:
    """Whether a name has a release, and no longer one.

    6.1.0-1 is not in 6.1.0-18.
    """
    at = text.find(release)
    while at >= 0:
        around = text[at - 1 : at] + text[at + len(release) : at + len(release) + 1]
        if not any(one.isalnum() or one in "._+~" for one in around):
            return True
        at = text.find(release, at + 1)
    return False


def read(sysfs: Sysfs, folder: str, started_from: str = "") -> Configuration:
    """Read GRUB's files in ``folder``.

    ``started_from``: GRUB's own folder on the ESP.

    Raises `UnknownBootError` with the file for what cannot be read.
    """
    require_mounted(sysfs, "/boot", folder)
    volume = volume_of(sysfs, folder)
    files = HostFiles(sysfs, volume)
    text = sysfs.read_bytes(f"{folder}/grub.cfg", MAX_BYTES).decode(errors="surrogateescape")
    block = f"{folder}/grubenv"
    environment, not_writable = {}, volume.not_writable()
    if sysfs.exists(block):
        if _is_link(sysfs, block):
            raise UnknownBootError(f"{block} is a link, which GRUB follows only within a file system")
        data = sysfs.read_bytes(block, grubenv.SIZE + 1)
        environment = grubenv.parse(data)
    return Configuration(text, environment, f"({BOOT}){volume.to_loader(folder)}", files, not_writable, started_from)


def _is_link(sysfs: Sysfs, path: str) -> bool:
    try:
        return sysfs.target(path) is not None
    except KernelError:
        return False


def regenerated(configuration: Configuration, run: Run) -> Configuration | None:
    """What grub-mkconfig would write now; None without that program."""
    try:
        text = run(["grub-mkconfig"])
    except ToolError as error:
        if error.status == 127:
            return None
        raise
    return replace(configuration, text=text)
