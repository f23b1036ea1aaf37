# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Preflight: checks whether a host may be live-updated, and the estimate.

Checks are pure, over gathered facts; each refusal names its fix.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Callable

from .._model.paths import LIVE_UPDATE
from .._model.update_paths import RESUME_UNIT
from .._system.update_folder import ARMED
from .._vm.backend import Backend
from .._vm.candidates import in_the_way
from . import (
    boot_rules,
    budget,
    deadline_rules,
    dry_starts,
    elsewhere,
    hold_off,
    host_services,
    kexec_rules,
    leaving,
    strategies,
    vm_rules,
)
from .estimate import VmEstimate, estimate, interface_after, of_vms
from .facts import Facts
from .finding import Finding
from .options import Options

MIB = 1 << 20
VOLATILE = ("tmpfs", "ramfs", "overlay", "squashfs")
NEW = ("new kernel",)
"""Whatever is about a kernel that is not there."""
SPARE_DISK = 64 * MIB
"""Bytes for a VM's devices, and for the host's own writing."""
SPARE_MEMORY = 64 * MIB
"""Bytes for loading a kernel, beside its image and initrd."""


@dataclass(frozen=True)
class Verdict:
    """Result of the preflight.

    ``estimate``: seconds of the predicted outage by part, ``pause`` and ``total`` among them; ``vms``: of each VM, in
    the order of their return.
    """

    refusals: tuple[Finding, ...]
    warnings: tuple[Finding, ...]
    estimate: Mapping[str, float]
    vms: tuple[VmEstimate, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "refusals": [item.to_dict() for item in self.refusals],
            "warnings": [item.to_dict() for item in self.warnings],
            "estimate": dict(self.estimate),
            "estimate_vms": [vars(item) for item in self.vms],
        }


def judge(
    facts: Facts,
    backends: Mapping[str, Backend],
    options: Options,
    budget_s: float,
    annotations: Mapping[str, Mapping[str, Any]] | None = None,
) -> Verdict:
    """Judge a host: every refusal at once, warnings, and the estimate.

    So one round of fixing is enough. Each backend judges its own VMs. ``annotations``: of VMs by name.
    """
    facts = strategies.judged(facts)
    guess = estimate(facts, options)
    refusals = [finding for check in CHECKS for finding in check(facts, options)]
    refusals.extend(strategies.check(facts))
    refusals.extend(leaving.check(facts, backends, options, annotations or {}))
    refusals.extend(vm_rules.problems(facts, backends))
    refusals.extend(budget.check(facts, guess, budget_s))
    refusals.extend(dry_starts.refusals(facts.vms, facts.dry_starts))
    refusals.extend(elsewhere.check(facts.vms, options, guess["total"]))
    refusals.extend(boot_rules.check(facts, options))
    refusals.extend(deadline_rules.check(facts, options))
    refusals.extend(hold_off.check(facts.others))
    refused = {name for finding in refusals for name in finding.about}
    every = (
        *_warnings(facts, options), *boot_rules.warnings(facts, options), *leaving.warnings(facts, annotations or {}),
    )  # fmt: skip
    warnings = tuple(finding for finding in every if not refused.intersection(finding.about))
    return Verdict(tuple(refusals), warnings, guess, tuple(of_vms(facts, options, annotations or {})))


def _kernel(facts: Facts, _options: Options) -> Iterator[Finding]:
    kernel = facts.kernel
    if facts.not_installed:
        missing = ", ".join(facts.not_installed)
        yield Finding("not-installed", f"nothing would resume the VMs: no {missing}", "apply role kvmfleet.sriov.sriov")
    if not kernel.kexec_built_in:
        yield Finding("kexec-missing", f"kernel {kernel.running} has no kexec", "boot one with CONFIG_KEXEC_FILE=y")
    yield from (Finding(*one) for one in kexec_rules.broken(kernel.rules, kernel.image, kernel.image_signed))
    if kernel.image_bytes is None:
        yield Finding("image-missing", f"{kernel.image} does not exist", f"install kernel {kernel.release} first", NEW)
    elif kernel.image_release not in (None, kernel.release):
        yield Finding(
            "image-wrong", f"{kernel.image} is release {kernel.image_release}, wanted is {kernel.release}",
            "install the kernel again, or ask for the release that is there", NEW,
        )  # fmt: skip
    if kernel.initrd is not None and kernel.initrd_bytes is None:
        yield Finding(
            "initrd-missing",
            f"{kernel.initrd} does not exist",
            f"update-initramfs -c -k {kernel.release}, or live_update_initrd: none for a kernel that needs none",
        )


def _modules(facts: Facts, options: Options) -> Iterator[Finding]:
    modules, release = facts.modules, facts.kernel.release
    if modules.available is None:
        yield Finding("modules-missing", f"/lib/modules/{release} does not exist", "install that kernel's modules too")
        return
    for module, who in sorted(modules.needed.items()):
        if module not in modules.available and module not in options.allow_missing_modules:
            yield Finding(
                "module-missing", f"{who} needs module {module}, which kernel {release} lacks",
                "build it into the new kernel, or name it in allow_missing_modules",
            )  # fmt: skip


def _writers(facts: Facts, options: Options) -> Iterator[Finding]:
    for writer in facts.writers:
        if writer.path not in options.allow_writers:
            yield Finding(
                "writer", f"{writer.kind} writes sriov_numvfs too ({writer.path}): it would add all VFs mid-resume",
                "remove that setting and declare the VFs with role kvmfleet.sriov.sriov, or, when it is ordered after "
                f"{RESUME_UNIT}, name the file in allow_writers",
            )  # fmt: skip


def _pfs(facts: Facts, _options: Options) -> Iterator[Finding]:
    for address, mode in sorted(facts.eswitch.items()):
        if mode == "switchdev" and facts.pfs[address].enabled:
            yield Finding(
                "switchdev", f"PF {address} is in switchdev mode: its representors and bridge ports would not return",
                "only legacy mode is handled: devlink dev eswitch set pci/... mode legacy, or leave this host out",
            )  # fmt: skip
    for address, pf in sorted(facts.pfs.items()):
        if pf.enabled and pf.driver is None:
            yield Finding("pf-driver", f"PF {address} has VFs enabled, but no driver", "bind it, or disable its VFs")


def _resources(facts: Facts, _options: Options) -> Iterator[Finding]:
    need = sum((0 if vm.kept_elsewhere else vm.memory_bytes) + SPARE_DISK for vm in facts.vms)
    if facts.vms and (facts.disk_in_memory or facts.disk_kind in VOLATILE):
        memory = "" if facts.disk_kind in VOLATILE else " in memory"
        yield Finding(
            "disk-volatile", f"{LIVE_UPDATE} is on {facts.disk_kind}{memory}, which a kexec empties",
            "put it on a disk",
        )  # fmt: skip
    if need > facts.disk_free_bytes:
        yield Finding(
            "disk-full",
            f"states may need {need // MIB} MiB, {LIVE_UPDATE} has {facts.disk_free_bytes // MIB} MiB free",
            "free disk space",
        )  # fmt: skip
    image = (facts.kernel.image_bytes or 0) + (facts.kernel.initrd_bytes or 0) + SPARE_MEMORY
    if image > facts.memory_free_bytes:
        yield Finding(
            "memory", f"loading the kernel needs {image // MIB} MiB, {facts.memory_free_bytes // MIB} MiB are free",
            "free memory",
        )  # fmt: skip


def _progress(facts: Facts, _options: Options) -> Iterator[Finding]:
    if facts.phase not in (None, ARMED):
        fix = "run the playbook to collect and finish it, or acknowledge it"
        yield Finding("in-progress", f"an earlier live update is in phase {facts.phase}", fix)


def _strangers(facts: Facts, options: Options) -> Iterator[Finding]:
    yield from host_services.check(facts.services)
    for one in in_the_way(facts.strangers, options.host_services):
        yield Finding(
            "stranger", f"{one} could be a VM, and is none that would be saved: the kexec would end it",
            "end it, run it as a VM that is known here, or name its unit in host_services",
        )  # fmt: skip


CHECKS: tuple[Callable[[Facts, Options], Iterator[Finding]], ...] = (
    _progress, _kernel, _modules, _writers, _pfs, _resources, _strangers, vm_rules.names, vm_rules.images,
)  # fmt: skip


def _warnings(facts: Facts, options: Options) -> Iterator[Finding]:
    yield from dry_starts.warnings(facts.vms, facts.dry_starts)
    yield from deadline_rules.warnings(facts, options)
    yield from elsewhere.warnings(facts.vms, options)
    yield from hold_off.warnings(facts.others)
    if not facts.journal_persistent:
        yield Finding(
            "journal", "the journal is in memory only: what guests said before the kexec will be lost",
            "create /var/log/journal",
        )  # fmt: skip
    harmless = set(facts.strangers) - set(in_the_way(facts.strangers, ()))
    for one in sorted(harmless, key=lambda one: one.pid):
        problem = f"{one} runs a program named like QEMU, without VM or passed-through device"
        yield Finding("stranger", problem, "it ends with the kexec")
    available = facts.modules.available
    lost = [] if available is None else sorted(facts.modules.loaded - available - facts.modules.needed.keys())
    if lost:
        yield Finding(
            "modules-lost",
            f"kernel {facts.kernel.release} lacks {len(lost)} loaded modules ({', '.join(lost[:6])}, ..)",
            "see that nothing needs them",
        )  # fmt: skip
    if not interface_after(facts, options).abilities.enable_only and any(pf.enabled for pf in facts.pfs.values()):
        yield Finding(
            "interface", "the new kernel is taken to have only sriov_numvfs: all VFs are added before any VM returns",
            "use a kernel that can enable VFs without adding them, or set options.interface when it has it", NEW,
        )  # fmt: skip
