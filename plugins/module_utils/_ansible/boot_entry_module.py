# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `boot_entry`: what starts next and by default, and setting it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .._boot import auto_kexec, kept, loaders, proof, proven
from .._boot.answer import KERNEL_RELEASE, Answer, Loader, Start
from .._model.errors import BadInputError, RefusedError
from .._system.process import Run
from .._system.sysfs import Sysfs
from .module import Module


def declare(module: Module, sysfs: Sysfs, run: Run) -> dict[str, Any]:
    """Read, plan, set and read again; returns the result of `boot_entry`."""
    loader = loaders.find(sysfs, run)
    before, replaced = loader.answer(), kept.replaced(sysfs)
    default = _default(module, sysfs, before)
    after = before if default is None else replace(before, default=default, next=_next(before, default))
    changes = [] if default is None else ["default"]
    once = module.params["once"]
    if once is not None:
        tried = after.default if once == "" else after.choice(_release(once))
        if tried.kernel != after.next.kernel or (once == "" and after.next.entry != after.default.entry):
            changes.append("once")
            after = replace(after, next=tried)
    if changes and not module.check_mode:
        proof.record(sysfs)
        _change(loader, changes, after, once)
        after = loader.answer()
    if module.params["allow_unproven"] and not module.check_mode and _is_set(module, default, replaced):
        proof.accept(sysfs, after.default)
    kept_now = _keep(module, sysfs, after, default is not None or module.params["default"] is not None)
    updated = loader.updated() if module.params["after_update"] else None
    return {
        "changed": bool(changes) or kept_now,
        "diff": {"before": _shown(before), "after": _shown(after)},
        "wanted": kept.load(sysfs),
        "replaced": kept.replaced(sysfs),
        "runs": _runs(sysfs, after.default),
        "booted_by": proof.booted_by(sysfs),
        "by_kexec": auto_kexec.problem(sysfs),
        "after_update": None if updated is None else {"default": vars(updated.default)},
        **after.to_dict(),
    }


def _keep(module: Module, sysfs: Sysfs, answer: Answer, set_: bool) -> bool:
    """Keep the wanted default, where it is set or asked for.

    Returns whether that alone is new.
    """
    known = kept.load(sysfs)
    lacks = known is None or (known["build"] == "" and known["kernel"] == answer.default.kernel)
    if not (set_ or (module.params["keep"] and lacks)):
        return False
    if module.check_mode:
        return not set_
    return kept.keep(sysfs, answer.default) and not set_


def _default(module: Module, sysfs: Sysfs, answer: Answer) -> Start | None:
    """The default to be set, None where it is as wanted."""
    if module.params["default"] is None:
        return None
    wanted = answer.choice(_release(module.params["default"]))
    if module.params["running"] and not _runs(sysfs, wanted):
        raise RefusedError(
            f"{wanted.kernel} is not the build that runs ({' '.join(reversed(proven.running(sysfs)))}): it is another "
            "kernel, that nobody has tried. Install the one that runs, or name another default"
        )
    was = (kept.load(sysfs) or {}).get("kernel") == wanted.kernel and not kept.replaced(sysfs)
    if not was:
        proof.require_proof(sysfs, answer, wanted, module.params["allow_unproven"])
    return None if wanted.kernel == answer.default.kernel and answer.default.pinned else wanted


def _is_set(module: Module, default: Start | None, replaced: bool) -> bool:
    """Whether the operator's word makes a kernel the default.

    Also where its file alone is new.
    """
    return default is not None or (module.params["default"] is not None and replaced)


def _runs(sysfs: Sysfs, start: Start) -> bool:
    """Whether a kernel runs, by its build where the file shows it."""
    build, release = proven.running(sysfs)
    return start.release == release and proven.of_file(sysfs, start.kernel) in (build, None)


def _next(before: Answer, default: Start) -> Start:
    """What starts next with another default.

    A kernel that is to be tried once stays so.
    """
    return default if before.next == before.default else before.next


def _change(loader: Loader, changes: list[str], after: Answer, once: str | None) -> None:
    if "default" in changes:
        loader.set_default(after.default)
    if "once" in changes:
        loader.set_once(after.next if once else None)


def _release(text: str) -> str:
    if KERNEL_RELEASE.fullmatch(text) is None:
        raise BadInputError(f"'{text}' is no release of a kernel, as `uname -r` says it")
    return text


def _shown(answer: Answer) -> dict[str, Any]:
    return {"default": answer.default.kernel or answer.default.entry, "next": answer.next.kernel or answer.next.entry}
