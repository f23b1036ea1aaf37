# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs of the operator that save and restore VMs.

Argv lists, never a shell: what is filled in stays within its word.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from .._model.errors import BadInputError

PLACE = re.compile(r"\{([^{}]*)\}")
"""A placeholder of a word."""
REQUIRED = ("save", "saved", "restore", "discard")
OF_VFS = ("release", "attach")
"""Programs that run once for each VF; they need its address."""


@dataclass(frozen=True)
class VmCommands:
    """Programs for the VMs of one manager.

    ``pid_file``: path of a VM's pid file, whose name is ``{name}`` with an ending. ``saved`` ends with 0 while a
    complete state is kept, with 1 while there is none, with anything else when it cannot tell; ``discard`` deletes
    that state. ``release`` and ``attach`` unplug and plug ``{vf}``, by its PCI address. ``shutdown`` asks the guest;
    ``start`` starts a VM from its disks. All have ``{name}``.
    """

    pid_file: str
    save: tuple[str, ...]
    saved: tuple[str, ...]
    restore: tuple[str, ...]
    discard: tuple[str, ...]
    release: tuple[str, ...] = ()
    attach: tuple[str, ...] = ()
    shutdown: tuple[str, ...] = ()
    start: tuple[str, ...] = ()

    def programs(self) -> list[str]:
        """Paths of all programs, each once."""
        argvs = (getattr(self, item.name) for item in fields(self) if item.name != "pid_file")
        return list(dict.fromkeys(argv[0] for argv in argvs if argv))

    def to_dict(self) -> dict[str, Any]:
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in values.items()}


def filled(argv: Sequence[str], **values: str) -> list[str]:
    """An argv with its placeholders filled in, word by word."""
    return [PLACE.sub(lambda match: values[match.group(1)], word) for word in argv]


def parse_all(data: object, where: str) -> tuple[VmCommands, ...]:
    """Parse the option, a list; raises `BadInputError`."""
    if not isinstance(data, (list, tuple)):
        raise BadInputError(f"{where}: {str(data)[:100]!r} is not a list of objects, one for each manager of VMs")
    found = tuple(parse(item, f"{where}[{number}]") for number, item in enumerate(data))
    twice = [one.pid_file for one in found if [other.pid_file for other in found].count(one.pid_file) > 1]
    if twice:
        raise BadInputError(f"{where}: two have pid_file {twice[0]!r}: say which programs are for its VMs once")
    return found


def parse(data: object, where: str) -> VmCommands:
    """Parse the programs for one manager.

    Raises `BadInputError` with the path of what is wrong.
    """
    if isinstance(data, VmCommands):
        return data
    if not isinstance(data, Mapping):
        raise BadInputError(f"{where}: {str(data)[:100]!r} is not an object")
    known = [item.name for item in fields(VmCommands)]
    for key in data:
        if key not in known:
            raise BadInputError(f"{where}.{key}: unknown key; there are: {', '.join(known)}")
    for key in ("pid_file", *REQUIRED):
        if not data.get(key):
            raise BadInputError(f"{where}.{key}: missing; a VM of a manager needs: pid_file, {', '.join(REQUIRED)}")
    argvs = {key: _argv(data.get(key) or (), f"{where}.{key}", key) for key in known if key != "pid_file"}
    if bool(argvs["release"]) != bool(argvs["attach"]):
        raise BadInputError(f"{where}: release and attach go together: one unplugs a VF, the other plugs it again")
    return VmCommands(_pid_file(data["pid_file"], f"{where}.pid_file"), **argvs)


def _pid_file(text: object, where: str) -> str:
    folder, _slash, name = str(text).rpartition("/")
    if not isinstance(text, str) or not folder.startswith("/") or "{" in folder or not _is_pattern(name):
        raise BadInputError(f"{where}: {str(text)[:100]!r} is not like /run/qemu-server/{{name}}.pid")
    return text


def _is_pattern(name: str) -> bool:
    return PLACE.findall(name) == ["name"] and PLACE.sub("", name).isprintable()


def _argv(value: object, where: str, key: str) -> tuple[str, ...]:
    if not isinstance(value, (list, tuple)) or not all(isinstance(word, str) and "\0" not in word for word in value):
        raise BadInputError(f"{where}: {str(value)[:100]!r} is not a list of words: a program's path and its arguments")
    if not value:
        return ()
    if not value[0].startswith("/") or PLACE.search(value[0]):
        raise BadInputError(f"{where}: {value[0]!r} is not the whole path of a program: say it, no shell looks for it")
    allowed = ("name", "vf") if key in OF_VFS else ("name",)
    places = [place for word in value for place in PLACE.findall(word)]
    for place in places:
        if place not in allowed:
            known = " and ".join(f"{{{one}}}" for one in allowed)
            raise BadInputError(
                f"{where}: {{{place}}} is no placeholder of it, which has {known}: use a script for others"
            )
    for place in allowed:
        if place not in places:
            raise BadInputError(f"{where}: no word has {{{place}}}, so it is the same for each: add it")
    return tuple(value)
