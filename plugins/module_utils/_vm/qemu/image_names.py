# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of images in QEMU's words, each in one form. Pure.

QEMU takes ``nbd:host:port`` and a tree of options, and answers with ``nbd://host:port`` or ``json:{..}``; all mean one
image. A name that begins with a protocol is no file of this host. Names have no passwords.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from typing import Any

Tree = Mapping[str, Any]
"""Options of a block node, as in blockdev-add (qapi/block-core.json)."""

LOCAL = ("file", "host_device", "host_cdrom")
"""Protocols whose names are paths."""
PROTOCOL = re.compile(r"([A-Za-z][\w+.-]*):(.*)", re.DOTALL)
"""A name with a colon before its first slash (block.c, path_has_protocol)."""
EMPTY = ("null-co", "null-aio")
"""Protocols without contents."""
NBD = "10809"
DEEPEST = 50
"""Levels of a tree.

QEMU itself refuses a few hundred.
"""


def is_path(name: str) -> bool:
    """Whether a name of this module is a path on this host."""
    return not _protocol(name)


def of(value: object, nodes: Mapping[str, Tree], depth: int = 0) -> str:
    """Name of the image that a text or tree leads to.

    ``nodes`` are trees by node name, for references. Empty for a node without an image of its own.
    """
    if depth > DEEPEST:
        return ""
    if isinstance(value, str):
        tree = tree_of(value)
        return _of_text(value) if tree is None else of(tree, nodes, depth + 1)
    if not isinstance(value, Mapping) or value.get("driver") in EMPTY:
        return ""
    if isinstance(value.get("filename"), str):
        return of(value["filename"], nodes, depth + 1)
    if "file" in value:
        below = value["file"]
        known = isinstance(below, str) and below in nodes
        return of(nodes[below] if known else below, nodes, depth + 1)
    return _of_network(value)


def tree_of(text: str) -> Tree | None:
    """The tree in a name like ``json:{..}``, None for another name."""
    if not text.startswith("json:"):
        return None
    try:
        tree = json.loads(text[5:])
    except (ValueError, RecursionError):
        return {}
    return nested(tree) if isinstance(tree, dict) else {}


def nested(flat: Tree) -> Tree:
    """A tree of options whose keys may have dots, as ``file.filename``."""
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        inner, place = key.split("."), tree
        for part in inner[:-1][:DEEPEST]:
            below = place.get(part)
            place[part] = place = dict(below) if isinstance(below, Mapping) else {}
        place[inner[-1]] = nested(value) if isinstance(value, Mapping) else value
    return tree


def _protocol(text: str) -> tuple[str, str] | None:
    match = PROTOCOL.fullmatch(text)
    return (match[1], match[2]) if match and "/" not in match[1] else None


def _of_text(text: str) -> str:
    protocol = _protocol(text)
    if protocol is None:
        return _path(text)
    kind, rest = protocol
    if kind in LOCAL:
        return _path(rest)
    if kind in EMPTY:
        return ""
    if kind.startswith("nbd"):
        return _of_nbd(kind, rest)
    if kind == "rbd":
        return "rbd:" + re.split(r"(?<!\\):", rest)[0]
    return f"{kind}:{re.sub(r'^//[^/@]*@', '//', rest)}"


def _path(text: str) -> str:
    return re.sub("^/+", "/", os.path.normpath(text)) if text else ""


def _of_nbd(kind: str, rest: str) -> str:
    """One form of the many of NBD (docs/interop/nbd-server, block/nbd.c)."""
    if rest.startswith("//"):
        place, _mark, query = rest[2:].partition("?")
        host, _slash, export = place.partition("/")
        path = re.search(r"(?:^|&)socket=([^&]*)", query)
        return f"nbd:unix:{path[1]}/{export}" if path else _nbd(host, export)
    place, _mark, export = rest.partition(":exportname=")
    return f"nbd:{place}/{export}" if place.startswith("unix:") else _nbd(place, export)


def _nbd(host: str, export: str) -> str:
    return f"nbd:{host if re.search(r':[0-9]+$', host) else f'{host}:{NBD}'}/{export}"


def _of_network(tree: Tree) -> str:
    kind = str(tree.get("driver", "unknown"))
    if kind == "nbd":
        server = tree.get("server")
        at: Tree = server if isinstance(server, Mapping) else tree
        place = f"unix:{at['path']}" if "path" in at else f"{at.get('host')}:{at.get('port', NBD)}"
        return f"nbd:{place}/{tree.get('export', '')}"
    if kind == "rbd":
        name = "/".join(str(tree[key]) for key in ("pool", "namespace", "image") if tree.get(key))
        return f"rbd:{name}" + (f"@{tree['snapshot']}" if tree.get("snapshot") else "")
    if kind == "iscsi":
        return f"iscsi://{tree.get('portal')}/{tree.get('target')}/{tree.get('lun', 0)}"
    if isinstance(tree.get("url"), str):
        return _of_text(tree["url"])
    shown = {key: value for key, value in tree.items() if not re.search(r"secret|key|user|password", key)}
    return f"{kind}:{json.dumps(shown, sort_keys=True)}"
