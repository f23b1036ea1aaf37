# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Entries of systemd-boot, and which of them starts.

Sources: Boot Loader Specification; loader.conf(5); src/boot/efi/boot.c of systemd 252 (config_select_default_entry).
"""

from __future__ import annotations

import fnmatch
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .unknown import UnknownBootError

MAX_ENTRIES = 500


@dataclass(frozen=True)
class LoaderEntry:
    """An entry as `bootctl list` shows it.

    ``root`` being the mount point of its partition. ``reported`` is what the tool says of the default, None where this
    version does not.
    """

    id: str
    title: str
    linux: str | None
    initrd: tuple[str, ...]
    options: str
    root: str
    version: str
    tries_left: int | None
    reported: bool | None


def parse(text: str) -> list[LoaderEntry]:
    """The entries of `bootctl list --json=short`, in the order of the menu.

    Raises `UnknownBootError` for another answer.
    """
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UnknownBootError(f"'bootctl list --json=short' did not answer with JSON: {error}") from error
    if not isinstance(rows, list) or len(rows) > MAX_ENTRIES or not all(isinstance(row, dict) for row in rows):
        raise UnknownBootError(
            f"'bootctl list --json=short' answered with something else than at most {MAX_ENTRIES} entries"
        )
    return [_entry(row) for row in rows]


def _entry(row: dict[str, Any]) -> LoaderEntry:
    initrd, tries, reported = row.get("initrd", []), row.get("triesLeft"), row.get("isDefault")
    return LoaderEntry(
        id=_text(row, "id"), title=_text(row, "showTitle") or _text(row, "title"), linux=_text(row, "linux") or None,
        initrd=tuple(str(one) for one in initrd) if isinstance(initrd, list) else (), options=_text(row, "options"),
        root=_text(row, "root"), version=_text(row, "version"),
        tries_left=tries if isinstance(tries, int) else None,
        reported=reported if isinstance(reported, bool) else None,
    )  # fmt: skip


def parse_text(name: str, text: str, root: str) -> LoaderEntry:
    """An entry's file, as the Boot Loader Specification has it.

    ``name`` is the file's, ``root`` where its partition is. Tries that are left are in the name, `ID+LEFT.conf`.
    """
    rows: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, value = [*line.split(None, 1), "", ""][:2]
        if key and not key.startswith("#"):
            rows.setdefault(key, []).append(value.strip())
    counted = re.fullmatch(r"(.+)\+(\d{1,9})(?:-\d{1,9})?\.conf", name)
    version = rows.get("version", [""])[-1]
    return LoaderEntry(
        id=f"{counted[1]}.conf" if counted else name, title=rows.get("title", [name])[-1],
        linux=rows.get("linux", [None])[-1], initrd=tuple(rows.get("initrd", [])),
        options=" ".join(rows.get("options", [])), root=root, version=version,
        tries_left=int(counted[2]) if counted else None, reported=None,
    )  # fmt: skip


def _text(row: dict[str, Any], key: str) -> str:
    value = row.get(key, "")
    return value if isinstance(value, str) else ""


def loader_conf_default(text: str) -> str | None:
    """The pattern of `default` in loader.conf, None without one.

    The last one counts.
    """
    found = None
    for line in text.splitlines():
        words = line.split(None, 1)
        if len(words) == 2 and words[0] == "default":
            found = words[1].strip()
    return found


def select(entries: Sequence[LoaderEntry], patterns: Sequence[str | None]) -> LoaderEntry:
    """The entry that starts.

    Of the first pattern that fits one, else the first of the menu. Raises `UnknownBootError` for what the boot loader
    decides by its own memory (@saved, @current).
    """
    if not entries:
        raise UnknownBootError("systemd-boot has no entries")
    for pattern in patterns:
        if not pattern:
            continue
        if pattern.startswith("@"):
            raise UnknownBootError(f"the default of systemd-boot is {pattern}: what started last, also by hand")
        found = [entry for entry in entries if fnmatch.fnmatchcase(entry.id.lower(), pattern.lower())]
        if found:
            return found[0]
    return entries[0]
