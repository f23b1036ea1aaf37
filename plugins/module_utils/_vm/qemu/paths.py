# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Paths on a QEMU command line: files, sockets, memory. Pure."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from . import argv as _argv

FILE_OPTIONS = (
    "-cdrom", "-hda", "-hdb", "-hdc", "-hdd", "-fda", "-fdb", "-pflash", "-bios", "-kernel", "-initrd", "-dtb", "-sd",
    "-mtdblock",
)  # fmt: skip
"""Options whose value is a file."""
KEY_OPTIONS = ("-drive", "-blockdev", "-device", "-object", "-acpitable", "-smbios", "-fw_cfg")
"""Options with a file among their keys."""
FILE_KEYS = frozenset({"file", "filename", "romfile", "dir"})
CHARACTER_OPTIONS = ("-serial", "-parallel", "-monitor", "-qmp", "-qmp-pretty", "-debugcon")
ON = ("on", "yes", "true", "y", True)


def files(argv: Sequence[str], cwd: str) -> list[str]:
    """Files that QEMU opens at its start, as absolute paths.

    What it reaches by a protocol is left out.
    """
    found = _argv.values(argv, *FILE_OPTIONS)
    for value in _argv.values(argv, *KEY_OPTIONS):
        found += _named(_tree(value))
    for backend in _backends(argv):
        if backend.get("type") == "tap" and backend.get("script", "") != "no" and "fd" not in backend:
            found.append(str(backend.get("script", "/etc/qemu-ifup")))
    plain = (text[5:] if text.startswith("file:") else text for text in found)
    return list(dict.fromkeys(os.path.join(cwd, text) for text in plain if text and not re.match(r"[a-z0-9+]+:", text)))


def client_sockets(argv: Sequence[str]) -> list[str]:
    """Unix sockets to which QEMU connects: somebody must listen there."""
    found = [text for text, sockets in _character_sockets(argv) if not sockets["server"] and text.startswith("/")]
    for backend in _backends(argv):
        if backend.get("addr.type") == "unix" and backend.get("server") not in ON:
            found.append(str(backend.get("addr.path", "")))
    for value in _argv.values(argv, "-drive", "-blockdev"):
        found += re.findall(r"nbd\+unix://[^?]*\?socket=([^,&\"]+)", value) + re.findall(r"nbd:unix:([^,:\"]+)", value)
        found += [str(one["path"]) for one in _objects(_tree(value)) if one.get("type") == "unix" and "path" in one]
    return list(dict.fromkeys(path for path in found if path.startswith("/")))


def waiting_servers(argv: Sequence[str], own_monitor: str | None) -> list[str]:
    """Servers at which QEMU waits for a client before it goes on.

    ``own_monitor`` is where the restore itself connects.
    """
    return [
        text for text, socket in _character_sockets(argv)
        if socket["server"] and socket["wait"] and text != own_monitor
    ]  # fmt: skip


def huge_memory(argv: Sequence[str]) -> Iterator[tuple[str, int, int]]:
    """(path or nothing, page size or 0, bytes) of guest memory."""
    total = next((size_of(_argv.parse(value, "size").get("size", "")) for value in _argv.values(argv, "-m")), 0)
    for value in _argv.values(argv, "-mem-path"):
        yield value, 0, total
    for item in (_argv.parse(value, "qom-type") for value in _argv.values(argv, "-object")):
        kind, size = item.get("qom-type"), size_of(item.get("size", "")) or total
        if kind == "memory-backend-file" and "mem-path" in item:
            yield item["mem-path"], 0, size
        elif kind == "memory-backend-memfd" and item.get("hugetlb") in ON:
            yield "", size_of(item.get("hugetlbsize", "")), size


def size_of(text: str) -> int:
    """Bytes of a size such as 4G, 0 for none.

    Without a suffix it is in MiB below 1 MiB.
    """
    match = re.fullmatch(r"(\d{1,18})([KMGTkmgt]?)B?", text)
    if match is None:
        return 0
    number, suffix = int(match[1]), match[2].upper()
    return number << ({"K": 10, "M": 20, "G": 30, "T": 40}.get(suffix) or (20 if number < 1 << 20 else 0))


def _character_sockets(argv: Sequence[str]) -> Iterator[tuple[str, dict[str, bool]]]:
    """(path or address, whether a server, whether it waits), each."""
    for item in (_argv.parse(value, "backend") for value in _argv.values(argv, "-chardev")):
        if item.get("backend") == "socket" and "fd" not in item:
            yield item.get("path") or f"{item.get('host', '')}:{item.get('port', '')}", _server(item)
    for value in _argv.values(argv, *CHARACTER_OPTIONS):
        kind, colon, rest = value.partition(":")
        if colon and kind in ("unix", "tcp", "telnet", "websocket"):
            address, _comma, more = rest.partition(",")
            yield address, _server(_argv.parse(more) if more else {})


def _server(item: Mapping[str, str]) -> dict[str, bool]:
    return {"server": item.get("server") in ON, "wait": item.get("wait", "on") in ON and "nowait" not in item}


def _backends(argv: Sequence[str]) -> list[dict[str, str]]:
    return [_argv.parse(value, "type") for value in _argv.values(argv, "-netdev", "-nic", "-net")]


def _tree(text: str) -> Any:  # noqa: ANN401 - JSON of any shape
    """A value as nested objects; ``file.filename=x`` stays flat."""
    if text.startswith("{"):
        try:
            return json.loads(text)
        except (ValueError, RecursionError):
            return {}
    return _argv.parse(text, "driver")


def _objects(tree: object) -> Iterator[Mapping[str, Any]]:
    if isinstance(tree, Mapping):
        yield tree
        for value in tree.values():
            yield from _objects(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _objects(value)


def _named(tree: object) -> list[str]:
    """Values of keys that name files, wherever they are nested."""
    found = []
    for item in _objects(tree):
        for key, value in item.items():
            if key.rpartition(".")[2] in FILE_KEYS and isinstance(value, str):
                found += _named(_tree(value[5:])) if value.startswith("json:") else [value]
    return found
