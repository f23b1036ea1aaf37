# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `boot_trial`: a kernel that is tried once, and guarded."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .._boot import auto_kexec, health, kept, loaders, proof, trial, tried_line
from .._boot.answer import KERNEL_RELEASE, Answer, Loader, Start
from .._boot.trial import Trial
from .._model.command_line import parameters
from .._model.errors import BadInputError, RefusedError
from .._readers.kernel_image import HEAD_BYTES, image_build
from .._system.process import Run
from .._system.sysfs import Sysfs
from .._vm import candidates
from .module import Module

WATCHDOG = "/sys/class/watchdog"
LEADING_BACK = ("rd.shell=0", "rd.emergency=reboot", "kvmfleet.tried")
"""Words of a trial's entry, beside `panic=`, which initramfs-tools goes by.

dracut's initrd reboots where it does not find the root (dracut.cmdline(7)); unit kvmfleet-sriov-boot-back goes by the
last one.
"""


def act(module: Module, sysfs: Sysfs, run: Run) -> dict[str, Any]:
    """Read, arm, confirm or withdraw; returns the result of `boot_trial`."""
    acts = {"armed": _arm, "confirmed": _confirm, "withdrawn": _withdraw}
    state = module.params["state"]
    changed = False if state == "read" else acts[state](module, sysfs, run)
    found = trial.load(sysfs)
    return {
        "changed": changed,
        "trial": None if found is None else found.to_dict(),
        "runs": found is not None and found.runs(sysfs),
        "vms": [str(one) for one in candidates.candidates(sysfs) if one.trusted],
        "boot_id": trial.boot_id(sysfs),
    }


def _arm(module: Module, sysfs: Sysfs, run: Run) -> bool:
    loader = loaders.find(sysfs, run)
    answer = loader.answer()
    start = answer.choice(_release(module))
    wanted = _trial(module, sysfs, run, answer, start)
    _require(module, sysfs, loader, answer, start)
    now = trial.load(sysfs)
    if now == wanted and answer.next.kernel == start.kernel:
        return False
    if module.check_mode:
        return True
    with trial.held(sysfs):
        proof.record(sysfs)
        trial.store(sysfs, wanted)
        try:
            words = (*_panic(start, module), *LEADING_BACK, *_watchdog_words(wanted), *module.params["command_line"])
            loader.set_once(start, words)
        except BaseException:
            trial.remove(sysfs)
            raise
    return True


def _trial(module: Module, sysfs: Sysfs, run: Run, answer: Answer, start: Start) -> Trial:
    """What is asked for, with what the host has now."""
    build = image_build(sysfs.read_bytes(start.kernel or "", HEAD_BYTES))
    if build is None:
        raise RefusedError(f"{start.kernel} does not show its version, so the guard would not know it")
    rows = module.params["uplinks"]
    uplinks = health.uplinks(run) if rows is None else tuple(trial.uplink(row) for row in rows)
    return Trial(
        release=start.release or "", build=build, good=answer.default.release or "",
        good_kernel=answer.default.kernel or "", boot=trial.boot_id(sysfs), phase=trial.ARMED, uplinks=uplinks,
        failed_units=tuple(health.failed_units(run))[: trial.MAX_ITEMS],
        commands=tuple(trial.argv(row) for row in module.params["health_commands"]),
        health_s=module.params["health_s"], confirm_s=module.params["confirm_s"], with_vms=module.params["with_vms"],
        watchdog_s=module.params["watchdog_s"] if sysfs.names(WATCHDOG) else 0,
    )  # fmt: skip


def _require(module: Module, sysfs: Sysfs, loader: Loader, answer: Answer, start: Start) -> None:
    """Refuse a trial that would not lead back by itself."""
    doubt = proof.doubt(sysfs, answer.default)
    if doubt is not None and not module.params["allow_unproven"]:
        raise RefusedError(f"the default, {answer.default.kernel}, is what a failure leads to, and {doubt}")
    if not answer.default.pinned:
        raise RefusedError(f"the default ({answer.default.entry}) is not pinned: `boot_entry default=RELEASE` pins it")
    if start.kernel == answer.default.kernel:
        raise RefusedError(f"{start.release} is the default already: there is nothing to try")
    alone = tried_line.only_tried(module.params["command_line"], start.command_line)
    if alone and not module.params["only_once"]:
        raise RefusedError(
            f"the entry of {start.release} lacks {' '.join(alone)}, so the default would be another command line than "
            "what is tried: write them into it (GRUB_CMDLINE_LINUX and update-grub, /etc/kernel/cmdline), or set "
            "only_once"
        )
    by_kexec = auto_kexec.problem(sysfs)
    if by_kexec is not None:
        raise RefusedError(f"{start.release} would not be tried through the firmware: {by_kexec}")
    if answer.waits:
        raise RefusedError(
            "the boot loader waits for a person at each boot: give its menu a timeout, its encrypted disks a key file"
        )
    if not loader.own_entry() and _panic(start, module):
        raise RefusedError(
            f"the entry of {start.release} has no panic=, so a panic would hang: write the entries with panic=30 "
            "(/etc/kernel/cmdline), or set panic_s to 0"
        )


def _panic(start: Start, module: Module) -> tuple[str, ...]:
    """`panic=` where the entry has none."""
    given = any(word.startswith("panic=") for word in (*parameters(start.command_line), *module.params["command_line"]))
    seconds = module.params["panic_s"]
    return () if given or not seconds else (f"panic={seconds}",)


def _watchdog_words(wanted: Trial) -> tuple[str, ...]:
    """Have systemd feed the watchdog from its start (kernel-command-line(7))."""
    return (f"systemd.watchdog_sec={wanted.watchdog_s}",) if wanted.watchdog_s else ()


def _confirm(module: Module, sysfs: Sysfs, run: Run) -> bool:
    """Make the kernel the default, if it runs and is healthy now."""
    with trial.held(sysfs):
        found = trial.load(sysfs)
        if found is None:
            raise RefusedError("no kernel is tried on this host: `boot_trial state=armed`, then reboot")
        if found.phase == trial.CONFIRMED:
            return False
        wrong = health.problems(sysfs, run, found)
        if found.phase in (trial.FAILED, trial.GOING_BACK) or wrong:
            raise RefusedError(
                f"kernel {found.release} is not confirmed (phase {found.phase}): "
                f"{'; '.join([*([found.reason] if found.reason else []), *wrong])}"
            )
        if not module.check_mode:
            _set_default(sysfs, run, found)
    return True


def _set_default(sysfs: Sysfs, run: Run, found: Trial) -> None:
    proof.record(sysfs)
    loader = loaders.find(sysfs, run)
    answer = loader.answer()
    start = answer.choice(found.release)
    proof.require_proof(sysfs, answer, start, allow_unproven=False)
    tried_line.require(sysfs, start)
    loader.set_default(start)
    kept.keep(sysfs, start)
    trial.store(sysfs, replace(found, phase=trial.CONFIRMED, reason=""))


def _withdraw(module: Module, sysfs: Sysfs, run: Run) -> bool:
    """Take back what waits; a trial that runs goes on."""
    with trial.held(sysfs):
        found = trial.load(sysfs)
        loader = loaders.find(sysfs, run)
        answer = loader.answer()
        waits = answer.next.kernel != answer.default.kernel
        if module.check_mode or (found is None and not waits):
            return found is not None or waits
        if found is not None and found.runs(sysfs) and found.phase not in trial.FINAL:
            raise RefusedError(f"kernel {found.release} runs: confirm it, or reboot into {found.good}")
        if waits:
            loader.set_once(None)
        trial.remove(sysfs)
    return True


def _release(module: Module) -> str:
    release = module.params["release"] or ""
    if KERNEL_RELEASE.fullmatch(release) is None:
        raise BadInputError(f"release: '{release}' is no release of a kernel, as `uname -r` says it")
    return release
