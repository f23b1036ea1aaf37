# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Dry start of a QEMU's restore, beside the running VM.

What the command line opens for itself alone is opened; whatever another one would feel is looked at by its name only.
"""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..._model.errors import SriovError
from ..._model.update_deadlines import DRY_KILL_S, DRY_START_S, LOOK_S
from ..._system import process
from ..._system.process import Run
from ..._system.sysfs import Sysfs
from ..dry_start import DryStart
from ..vm_facts import VmFacts
from . import argv as _argv
from . import dry_child, paths
from .dry_line import DryLine, dry_line
from .dry_words import NotListedError
from .facts import QemuFacts
from .image_names import is_path
from .option_value import OptionValue
from .part import QemuPart
from .state_form import MAPPED

CHILD = "kvmfleet-sriov-dry-start"
SPARE, SPARE_OF_CPU = 8 << 30, 256 << 20
"""Bytes of address space beside the guest's memory.

For code, buffers and stacks; most of it is never used.
"""
UNCERTAIN = re.compile("cannot set up guest memory|Cannot allocate memory")
"""Answers that say nothing about a restore.

The VM that runs has the memory.
"""
FIX = "mend that, or say dry_start: false for this VM in live_update_vms if its restore does work"
OTHER = "install the QEMU again that runs it"
BY_HAND = "it is found out only by the restore itself"
AWAITS = "inmigrate"


def attempt(sysfs: Sysfs, run: Run, vm: VmFacts) -> DryStart:
    """Start the restore's QEMU dry.

    Only of a VM without other problems. Raises `SriovError` when that fails as such.
    """
    part = QemuPart.made(vm)
    try:
        line = dry_line(part.restore_argv)
    except NotListedError as option:
        return DryStart(untried=(f"{option} is not on the list of what may be started beside a running VM",))
    behind = sorted({image.name for image in vm.images if not is_path(image.name)} - _names(line))
    if behind:
        return DryStart(untried=(f"image {behind[0]} is behind another one, and on a network",))
    missing = next((path for path in line.paths if not _is_there(sysfs, part.cwd, path)), None)
    if missing is not None:
        return DryStart(f"its restore opens {missing}, which is not there", FIX)
    problem, untried = _look(run, vm, part, line)
    return DryStart(problem, FIX, untried) if problem else _judged(_start(run, vm, part, line), untried, vm.live)


def _names(line: DryLine) -> set[str]:
    return {image.name for image in line.networks}


def _is_there(sysfs: Sysfs, cwd: str, path: str) -> bool:
    """Whether a path exists; it is not opened."""
    return os.path.exists(sysfs.real(os.path.join(cwd, path)))


def _look(run: Run, vm: VmFacts, part: QemuPart, line: DryLine) -> tuple[str, tuple[str, ...]]:
    """(why a network image cannot be opened, which were not looked at)."""
    untried = []
    for image in line.networks:
        if not image.spec:
            untried.append(f"image {image.name} was not opened: {BY_HAND}")
            continue
        program = os.path.join(os.path.dirname(part.argv[0]), "qemu-img")
        answer = _child(run, vm, part, [program, "info", "-U", "--output=json", image.spec], LOOK_S, monitor=False)
        if "apart" in answer or answer.get("code") is None or answer["code"] == 127:
            untried.append(f"image {image.name} gave no answer to qemu-img, as a server with one client: {BY_HAND}")
        elif answer["code"] != 0:
            return f"its image {image.name} cannot be opened: {_said(answer)}", ()
    return "", tuple(untried)


def _start(run: Run, vm: VmFacts, part: QemuPart, line: DryLine) -> Mapping[str, Any]:
    return _child(run, vm, part, line.argv, DRY_START_S, monitor=True)


def _child(
    run: Run, vm: VmFacts, part: QemuPart, argv: Sequence[str], deadline_s: float, monitor: bool
) -> Mapping[str, Any]:
    settings = {
        "cwd": part.cwd, "environment_of": vm.pid, "memory_bytes": _address_space(vm, part.argv),
        "deadline_s": deadline_s, "kill_s": DRY_KILL_S, "monitor": monitor,
    }  # fmt: skip
    source = process.source_of(dry_child)
    text = run([sys.executable, "-IS", "-c", source, CHILD, json.dumps(settings), *argv])
    try:
        answer = json.loads(text)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise SriovError(f"the dry start gave no answer that could be read: {text[:200]!r}")
    return answer


def _judged(answer: Mapping[str, Any], untried: tuple[str, ...], live: bool) -> DryStart:
    """What the answer of a dry start means.

    ``live``: the state will be written by a QEMU that has `mapped-ram`, which its restore needs too.
    """
    if "apart" in answer:
        return DryStart(untried=(*untried, f"it cannot be started apart from this host: {answer['apart']}"))
    if answer.get("status") == AWAITS:
        if live and MAPPED not in answer.get("has", [MAPPED]):
            return DryStart(
                f"a QEMU of its restore lacks {MAPPED}, with which its memory would be saved", OTHER, untried
            )
        return DryStart(untried=untried)
    said = _said(answer)
    if UNCERTAIN.search(said):
        return DryStart(untried=(*untried, f"there is no memory for it beside the running VM: {said}"))
    if answer.get("status") is not None:
        return DryStart(f"a QEMU of its restore is {answer['status']}, not {AWAITS}", FIX, untried)
    if answer.get("code") is None:
        return DryStart(f"a QEMU of its restore was not ready within {DRY_START_S:g} s: {said}", FIX, untried)
    return DryStart(f"a QEMU of its restore ends with status {answer['code']}: {said}", FIX, untried)


def _said(answer: Mapping[str, Any]) -> str:
    """What a program said, as one line of plain text."""
    text = " ".join(str(answer.get("said", "")).split())
    return "".join(one if one.isprintable() else "?" for one in text)[-dry_child.SAID :] or "it said nothing"


def _address_space(vm: VmFacts, argv: Sequence[str]) -> int:
    detail = QemuFacts.of(vm)
    cpus = len(detail.probe.threads) if detail.probe else 1
    return vm.memory_bytes + sum(_backends(argv)) + SPARE + cpus * SPARE_OF_CPU


def _backends(argv: Sequence[str]) -> Iterator[int]:
    for text in _argv.values(argv, "-object"):
        size = OptionValue.parse(text, "qom-type").items.get("size", "")
        yield size if isinstance(size, int) else paths.size_of(str(size))
