# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Disks of a dry start: images read-only, none on a network. Pure.

A QEMU that waits for a state asks for no lock, and opens with these options nothing for writing. A server of an image
may have room for one client only, so images on a network are empty disks here, and looked at by `qemu-img`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from . import image_names
from .dry_words import NotListedError
from .image_names import EMPTY, LOCAL, Tree
from .option_value import OptionValue

FORMATS = ("raw", "qcow2", "luks", "throttle")
"""Drivers above an image that write nothing when they are opened read-only."""
NETWORK = ("nbd", "rbd", "iscsi", "http", "https", "ftp", "ftps", "ssh", "nfs", "gluster")
WRITES = ("readonly", "read-only", "auto-read-only", "force-share", "copy-on-read", "snapshot")
"""Keys of a drive that say how it is opened."""
SLOT = (
    "if", "index", "bus", "unit", "media", "id", "node-name", "werror", "rerror", "cyls", "heads", "secs",
)  # fmt: skip
"""Keys of a drive that are about the guest's side."""
OPENED = {"snapshot": ("", "off", "no", "false"), "if": ("", "none", "ide", "scsi", "virtio", "floppy", "pflash")}
"""Values of a drive that may be opened dry.

An SD card must be writable.
"""
SHORT = {
    "-hda": "if=ide,index=0,media=disk", "-hdb": "if=ide,index=1,media=disk", "-hdc": "if=ide,index=2,media=disk",
    "-hdd": "if=ide,index=3,media=disk", "-cdrom": "index=2,media=cdrom", "-fda": "if=floppy,index=0",
    "-fdb": "if=floppy,index=1", "-pflash": "if=pflash",
}  # fmt: skip
"""Options with a bare file, as the -drive that they are (system/vl.c)."""
SHOWN = ("driver", "server", "export", "host", "port", "path")
"""Keys of an NBD image that name it."""
SECRETS = ("tls-creds", "secret", "password", "user")


@dataclass(frozen=True)
class NetworkImage:
    """An image that the dry start left out.

    ``spec``: the name for qemu-img, empty for what is not looked at.
    """

    name: str
    spec: str = ""


@dataclass
class DryDisks:
    """Disks of one command line.

    ``stubbed``: names of nodes that are empty disks.
    """

    networks: list[NetworkImage] = field(default_factory=list)
    stubbed: set[str] = field(default_factory=set)

    def short(self, option: str, path: str) -> list[str]:
        """Words for an option like -cdrom."""
        return self.drive(f"{SHORT[option]},file={path.replace(',', ',,')}")

    def drive(self, text: str) -> list[str]:
        value = OptionValue.parse(text)
        for key in ("snapshot", "if"):
            if value.get(key) not in OPENED[key]:
                raise NotListedError(f"-drive {key}={value.get(key)}")
        tree = image_names.nested({key: item for key, item in value.items.items() if key not in (*SLOT, *WRITES)})
        if value.get("format"):
            tree = {**tree, "driver": value.get("format")}
        bare = value.only(lambda key: key not in WRITES and not key.endswith(".auto-read-only"))
        if not ({"file", "driver"} & tree.keys()):
            return ["-drive", str(bare)]  # an empty CD drive
        if self._is_local(tree, "-drive"):
            return ["-drive", str(_read_only(bare))]
        return ["-drive", str(value.only(lambda key: key in SLOT).with_(driver="null-co", read_only=True))]

    def blockdev(self, text: str) -> list[str]:
        value = OptionValue.parse(text, "driver")
        name, tree = value.get("node-name"), image_names.nested(value.items)
        if self._is_local(tree, "-blockdev") and not self._needs_contents(tree):
            return ["-blockdev", str(_read_only(value))]
        self.stubbed.add(name)
        stub = OptionValue({"driver": "null-co", "node-name": name}, value.is_json)
        return ["-blockdev", str(stub.with_(read_only=True))]

    def _needs_contents(self, tree: Tree) -> bool:
        """Whether a format is above an empty disk."""
        below = tree.get("file")
        return tree.get("driver") not in ("raw", "throttle") and isinstance(below, str) and below in self.stubbed

    def _is_local(self, tree: Tree, option: str) -> bool:
        """Whether all images of a tree are on this host.

        Those that are not are noted. Raises `NotListedError` for a driver that may do anything.
        """
        found = list(_networks(tree, option))
        for item in found:
            self.networks.append(NetworkImage(image_names.of(item, {}) or "?", _spec(item)))
        return not found


def _networks(node: object, option: str, depth: int = 0) -> Iterator[object]:
    """Nodes and names of images on a network, below a node."""
    if depth > image_names.DEEPEST:
        raise NotListedError(f"{option} with more than {depth} levels")
    if isinstance(node, str):
        tree = image_names.tree_of(node)
        if tree is not None:
            yield from _networks(tree, option, depth + 1)
        elif not image_names.is_path(image_names.of(node, {})):
            yield _listed(node, node.partition(":")[0].partition("+")[0], option)
        return
    if not isinstance(node, Mapping):
        return
    driver = str(node.get("driver", ""))
    if driver not in ("", *LOCAL, *EMPTY, *FORMATS):
        yield _listed(node, driver, option)
        return
    for key in () if driver in LOCAL else ("filename", "file", "backing", "data-file"):
        yield from _networks(node.get(key), option, depth + 1)


def _listed(node: object, driver: str, option: str) -> object:
    if driver not in NETWORK:
        raise NotListedError(f"{option} driver={driver}")
    return node


def _spec(node: object) -> str:
    """Name for qemu-img of an NBD image, empty for others.

    Other servers may take a second client for the first one; and what needs a secret cannot be opened.
    """
    if isinstance(node, str):
        return node if node.startswith("nbd") else ""
    if not isinstance(node, Mapping) or node.get("driver") != "nbd":
        return ""
    plain = all(not str(key).startswith(SECRETS) for key in node)
    shown: dict[str, Any] = {key: value for key, value in node.items() if key in SHOWN}
    return f"json:{json.dumps(shown)}" if plain else ""


def _read_only(value: OptionValue) -> OptionValue:
    """A value whose nodes are opened for reading, at any depth."""
    if value.is_json:
        return OptionValue({**_closed(value.items), "read-only": True, "force-share": True}, is_json=True)
    kept = value.only(lambda key: key.rpartition(".")[2] != "auto-read-only")
    nested = {key: "on" for key in kept.items if key.endswith(".read-only")}
    return OptionValue({**kept.items, **nested}).with_(read_only=True, force_share=True)


def _closed(node: Tree) -> dict[str, Any]:
    changed = {key: _closed(item) if isinstance(item, Mapping) else item for key, item in node.items()}
    changed.pop("auto-read-only", None)
    return {key: True if key == "read-only" else item for key, item in changed.items()}
