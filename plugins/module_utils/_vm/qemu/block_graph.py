# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Open images of a QEMU against those of its restore. Pure.

A live snapshot, a storage migration or another CD since its start are in no command line: a restore would open old
images.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from . import argv as _argv
from . import block_answers, image_names
from .image_names import Tree

Problem = tuple[str, str]
"""(problem, fix)."""
SHORT = (
    "-hda", "-hdb", "-hdc", "-hdd", "-cdrom", "-fda", "-fdb", "-mtdblock", "-pflash", "-sd",
)  # fmt: skip
"""Options whose whole value is an image's name (qemu-options.hx)."""
FIX = "take the change back, or start the VM again with a command line that names what it uses now"


@dataclass(frozen=True)
class Slot:
    """A place for an image on the command line.

    ``name``: id of the drive or device, empty without one; ``tree``: None for an empty place.
    """

    name: str
    tree: Tree | None


@dataclass(frozen=True)
class Named:
    """All images of a command line.

    ``drives``: of -drive and its short forms, in order, as QEMU makes them; ``devices``: of devices whose ``drive`` is
    a node; ``flashes``: nodes of the machine, by their name; ``nodes``: trees by node name.
    """

    drives: tuple[Slot, ...]
    devices: tuple[Slot, ...]
    flashes: Mapping[str, Slot]
    nodes: Mapping[str, Tree]


def differences(argv: Sequence[str], blocks: object, jobs: object) -> list[Problem]:
    """What differs between running QEMU and its command line.

    ``blocks`` and ``jobs``: answers to query-block and query-block-jobs. Raises `SriovError` for answers that are
    none.
    """
    named = _named(argv)
    found = [
        problem
        for slot, entry in _pairs(named, block_answers.objects(blocks))
        for problem in _compare(named, slot, entry)
    ]
    for job in block_answers.objects(jobs):
        disk, kind = block_answers.shown(job.get("device")), block_answers.shown(job.get("type"))
        found.append((f"a block job is at work on its disk {disk} ({kind})", "wait for its end, or cancel it"))
    return found


def _named(argv: Sequence[str]) -> Named:
    nodes: dict[str, Tree] = {}
    for value in _argv.values(argv, "-blockdev"):
        _collect(_blockdev(value), nodes)
    drives = tuple(_drives(argv, nodes))
    ids = {drive.name for drive in drives}
    used = [(one.get("id", ""), one["drive"]) for one in _argv.devices(argv) if one.get("drive", "") not in ids | {""}]
    flashes = [_argv.parse(value, "type") for value in _argv.values(argv, "-machine", "-M")]
    return Named(
        drives,
        tuple(Slot(name, nodes[node]) for name, node in used if node in nodes),
        {key: Slot(key, nodes[machine[key]])
         for machine in flashes for key in ("pflash0", "pflash1") if machine.get(key) in nodes},
        nodes,
    )  # fmt: skip


def _blockdev(value: str) -> Tree:
    if value.startswith("{"):
        return image_names.tree_of(f"json:{value}") or {}
    return image_names.nested(_argv.parse(value, "driver"))


def _collect(tree: Tree, nodes: dict[str, Tree]) -> None:
    """Put a tree and those inside it below their node names."""
    if isinstance(tree.get("node-name"), str):
        nodes[tree["node-name"]] = tree
    for below in tree.values():
        if isinstance(below, Mapping):
            _collect(below, nodes)


def _drives(argv: Sequence[str], nodes: dict[str, Tree]) -> Iterator[Slot]:
    for index, option, value in _argv.options(argv):
        if not option.startswith("-"):
            yield Slot("", {"filename": argv[index]})
        elif option in SHORT and value is not None:
            yield Slot("", {"filename": value})
        elif option == "-drive" and value is not None:
            flat: dict[str, Any] = dict(_argv.parse(value))
            name, image = flat.pop("id", ""), flat.pop("file", "")
            tree = {**image_names.nested(flat), **({"filename": image} if image else {})}
            _collect(tree, nodes)
            yield Slot(name, tree if tree.keys() & {"filename", "file", "driver"} else None)


def _pairs(named: Named, blocks: Sequence[Tree]) -> Iterator[tuple[Slot | None, Tree | None]]:
    """Places of the command line with QEMU's entries for them.

    Drives without id come in the order of the command line, those that the machine has by itself after them.
    """
    entries = {block_answers.text(block, "device"): block for block in blocks if block.get("device")}
    yield from ((drive, entries.pop(drive.name, None)) for drive in named.drives if drive.name)
    yield from zip_longest((drive for drive in named.drives if not drive.name), entries.values())
    others = [block for block in blocks if not block.get("device")]
    yield from _of_devices(named, others)


def _of_devices(named: Named, blocks: list[Tree]) -> Iterator[tuple[Slot | None, Tree | None]]:
    slots = [*named.flashes.values(), *(slot for slot in named.devices if slot.name)]
    for slot in slots:
        entry = next((block for block in blocks if _is_of(slot.name, block_answers.text(block, "qdev"))), None)
        blocks = [block for block in blocks if block is not entry]
        yield slot, entry
    left = [block for block in blocks if block.get("inserted") is not None]
    yield from zip_longest((slot for slot in named.devices if not slot.name), left)


def _is_of(name: str, qdev: str) -> bool:
    """Whether a qdev path is of a device or its part."""
    flash = name.startswith("pflash") and qdev.endswith(name.replace("pflash", ".flash"))
    return qdev == name or f"{qdev}/".startswith(f"/machine/peripheral/{name}/") or flash


def _compare(named: Named, slot: Slot | None, entry: Tree | None) -> Iterator[Problem]:
    inserted = None if entry is None else entry.get("inserted")
    running = [] if inserted is None else block_answers.chain(inserted)
    actual = [name for name, _header in running]
    wanted = [] if slot is None or slot.tree is None else _wanted(slot.tree, named.nodes, running)
    if actual != wanted:
        label = slot.name if slot else ""
        label = (
            label
            or (block_answers.text(entry, "device") or block_answers.text(entry, "qdev") if entry else "")
            or "of the command line"
        )
        yield f"its disk {label} {_has(actual)}, its restore would open {_chain(wanted)}", FIX


def _wanted(tree: Tree, nodes: Mapping[str, Tree], running: Sequence[tuple[str, str]]) -> list[str]:
    """Images that a restore opens, by its tree and their headers.

    Headers are those of the same images in the running QEMU, which rewrites them when a job changes the chain.
    """
    wanted, by_headers = _explicit(tree, nodes)
    if not by_headers or [name for name, _header in running[: len(wanted)]] != wanted:
        return wanted
    for _name, header in running[len(wanted) - 1 :]:
        if not header:
            break
        wanted.append(header)
    return wanted


def _has(actual: Sequence[str]) -> str:
    return f"has {_chain(actual)} open" if actual else "is gone or empty"


def _chain(names: Sequence[str]) -> str:
    return " on ".join(names) if names else "nothing there"


def _explicit(tree: object, nodes: Mapping[str, Tree], depth: int = 0) -> tuple[list[str], bool]:
    """(images that a tree names from top down, whether headers name more)."""
    if isinstance(tree, str):
        tree = nodes.get(tree) or image_names.tree_of(tree) or {"filename": tree}
    if not isinstance(tree, Mapping) or depth > image_names.DEEPEST:
        return [], False
    inner = image_names.tree_of(tree["filename"]) if isinstance(tree.get("filename"), str) else None
    if inner is not None:
        return _explicit({**inner, "backing": tree["backing"]} if "backing" in tree else inner, nodes, depth + 1)
    name = image_names.of(tree, nodes)
    if "backing" in tree:
        names, more = _explicit(tree["backing"], nodes, depth + 1) if tree["backing"] else ([], False)
        return [name, *names], more
    below = tree.get("file")
    below = nodes.get(below) if isinstance(below, str) else below
    if isinstance(below, Mapping) and below.keys() & {"file", "backing"}:
        return _explicit(below, nodes, depth + 1)
    return [name], True
