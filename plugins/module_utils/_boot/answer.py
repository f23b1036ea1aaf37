# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a boot loader starts: the values of the answer.

A boot loader is a class with the methods of `Loader`; `loaders` finds which one it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

from .._model.errors import RefusedError

RELEASE = re.compile(r"(?:vmlinuz|vmlinux|kernel|linux)-(.+?)(?:\.efi)?(?:\.signed)?$")
"""Names of kernel files, as tools of boot loaders find them.

/etc/grub.d/10_linux.
"""
KERNEL_RELEASE = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+~_-]{0,63}")
"""What `uname -r` may say and a file's name may hold.

64 characters: include/uapi/linux/utsname.h.
"""


WRITE_AGAIN = {
    "grub": "update-grub", "proxmox-boot-tool": "proxmox-boot-tool kernel add RELEASE, then proxmox-boot-tool refresh",
}  # fmt: skip
"""What writes the entries of a boot loader again."""


@dataclass(frozen=True)
class Start:
    """A kernel file that would be started.

    ``entry`` names it for the boot loader. ``kernel`` is the file's path on the host, None where the entry starts
    something else, or the file of another system. ``missing``: files that it needs and that are not there. ``pinned``:
    the entry stays this kernel's when others are installed.
    """

    entry: str
    title: str
    kernel: str | None
    release: str | None
    initrd: tuple[str, ...]
    command_line: str
    missing: tuple[str, ...]
    pinned: bool


@dataclass(frozen=True)
class Answer:
    """What starts, by the boot loader's own rules.

    ``next``: at the next boot; ``default``: at boots after that; ``on_failure``: when the default cannot be loaded,
    None where the boot loader then waits for a person. ``no_once``: why no kernel can be tried once, None where one
    can. ``waits``: it waits for a person at each boot. ``choices``: what can be chosen by name.
    """

    loader: str
    evidence: tuple[str, ...]
    next: Start
    default: Start
    on_failure: Start | None
    no_once: str | None
    waits: bool
    choices: tuple[Start, ...]

    def to_dict(self) -> dict[str, Any]:
        values = asdict(self)
        values["choices"] = [{"entry": one.entry, "release": one.release} for one in self.choices]
        return values

    def choice(self, release: str) -> Start:
        """The entry that starts ``release`` whatever else is installed.

        Raises `RefusedError` where there is none.
        """
        found = [one for one in self.choices if one.release == release and one.pinned]
        if not found:
            known = ", ".join(sorted({one.release for one in self.choices if one.release and one.pinned}))
            raise RefusedError(
                f"{self.loader} has no entry that names kernel {release} (it has: {known or 'none'}): install that "
                f"kernel, or write the entries again ({WRITE_AGAIN.get(self.loader, 'kernel-install')})"
            )
        if found[0].missing:
            raise RefusedError(f"entry {found[0].entry} needs {', '.join(found[0].missing)}, which does not exist")
        return found[0]


class Loader(Protocol):
    """A boot loader of a host.

    `answer` raises `UnknownBootError` where what starts is not known. `set_default` and `set_once` change the host
    and look again; they raise with everything as before where the answer is not what it should be. ``words`` come
    behind the command line, where the boot loader has an entry for the trial alone (`own_entry`).
    """

    @property
    def name(self) -> str: ...
    def own_entry(self) -> bool: ...
    def answer(self) -> Answer: ...
    def updated(self) -> Answer | None: ...
    def set_default(self, start: Start) -> None: ...
    def set_once(self, start: Start | None, words: Sequence[str] = ()) -> None: ...


def release_of(path: str) -> str | None:
    """The release that a kernel file's name has, None for another name."""
    match = RELEASE.fullmatch(path.rpartition("/")[2])
    return match.group(1) if match and KERNEL_RELEASE.fullmatch(match.group(1)) else None


def is_rescue(words: Sequence[str]) -> bool:
    """Whether a command line leads to a rescue shell (systemd, kernel-command-line(7))."""
    return any(word in ("single", "recovery", "rescue", "emergency", "s", "S", "1") for word in words)
