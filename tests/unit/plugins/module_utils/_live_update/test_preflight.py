# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Refusals and estimates of the preflight, as tables.

One change to a good host makes one finding, with its fix.
"""

from __future__ import annotations

import ast
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import preflight, strategies, vm_rules
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.estimate import estimate, of_vms, to_shorten
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.facts import Facts
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.hold_off import Others
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.kernel_facts import KernelFacts
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.kernel_modules import ModuleFacts
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.kexec_rules import Rules
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.locked_volumes import Locked
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.watchdog_facts import Watchdog
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.state import PfState
from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers.other_writers import Writer
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system.sysfs import Sysfs
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.backend import Deadlines
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.dry_start import DryStart
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.facts import QemuFacts
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.qemu.probe import Probe
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.registry import backends
from ansible_collections.kvmfleet.sriov.plugins.module_utils._vm.vm_facts import UsedVf, VmFacts

PF = "0000:03:00.0"
MIB = 1 << 20
KERNEL = KernelFacts(
    running="6.12.0-old", boot_id="b", cmdline="root=/dev/vda", kexec_built_in=True, kexec_loaded=False,
    release="6.12.0-new", image="/boot/vmlinuz-6.12.0-new", image_bytes=8 * MIB,
    image_release="6.12.0-new", initrd="/boot/initrd.img-6.12.0-new", initrd_bytes=30 * MIB, interface="vf-id",
    cmdline_after="root=/dev/vda panic=30",
)  # fmt: skip
MODULES = ModuleFacts({"igb": f"PF {PF}"}, frozenset({"igb", "psmouse"}), frozenset({"igb", "psmouse", "virtio_net"}))
QEMU = QemuFacts(
    argv=("qemu-system-x86_64", "-name", "web1", "-qmp", "unix:/run/web1"), cwd="/", uid=0, own_namespaces=False,
    libvirt=False, fragment="/run/systemd/transient/web1.service", restart="no", qmp="/run/web1",
    probe=Probe(77, (10, 0, 2), "running", (), {}, ()), probe_error=None,
)  # fmt: skip
VM = VmFacts("web1", "qemu", 77, 770, "web1.service", QEMU, (UsedVf(PF, 6, "0000:04:11.4"),), memory_bytes=128 * MIB)
BACKENDS = backends(Sysfs("/none"), process.run, Deadlines())
GOOD = Facts(
    kernel=KERNEL, modules=MODULES, pfs={PF: PfState(PF, total=7, enabled=7, driver="igb")}, vms=(VM,),
    disk_free_bytes=4096 * MIB, memory_free_bytes=1024 * MIB,
)  # fmt: skip


def refusals(facts: Facts, options: Options | None = None, budget_s: float = 60.0) -> list[tuple[str, str]]:
    verdict = preflight.judge(facts, BACKENDS, options or Options(), budget_s)
    return [(item.code, str(item)) for item in verdict.refusals]


def vm(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - keyword arguments of several types
    return {"vms": (replace(VM, **changes),)}


def kernel(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - keyword arguments of several types
    return {"kernel": replace(KERNEL, **changes)}


def qemu(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - keyword arguments of several types
    return vm(detail=replace(QEMU, **changes))


def probe(**changes: Any) -> dict[str, Any]:  # noqa: ANN401 - keyword arguments of several types
    assert QEMU.probe is not None
    return qemu(probe=replace(QEMU.probe, **changes))


def second(**changes: Any) -> VmFacts:  # noqa: ANN401 - keyword arguments of several types
    """Another process that is like the VM's."""
    assert QEMU.probe is not None
    return replace(VM, pid=78, detail=replace(QEMU, probe=replace(QEMU.probe, pid=78)), **changes)


def argv(*more: str) -> dict[str, Any]:
    return qemu(argv=(*QEMU.argv, *more))


TABLE: list[tuple[dict[str, Any], str, str]] = [
    (kernel(kexec_built_in=False), "kexec-missing", "has no kexec: boot one with CONFIG_KEXEC_FILE=y"),
    (kernel(rules=Rules(disabled=True)), "kexec-disabled", "set it to 0 at boot"),
    (
        kernel(rules=Rules(limit=0)),
        "kexec-limit",
        "kexec_load_limit_reboot is 0: no kernel may be loaded any more: leave",
    ),
    (
        kernel(rules=Rules(lockdown="integrity"), image_signed=False),
        "kexec-lockdown",
        "vmlinuz-6.12.0-new is not signed, and the running kernel is locked down (integrity): sign it with a key",
    ),
    (
        kernel(rules=Rules(lockdown="confidentiality", signatures="checked"), image_signed=False),
        "kexec-lockdown",
        "is locked down (confidentiality): sign it",
    ),
    (
        kernel(rules=Rules(signatures="required"), image_signed=False),
        "kexec-unsigned",
        "loads only signed ones (CONFIG_KEXEC_SIG_FORCE): sign it",
    ),
    (kernel(image_bytes=None), "image-missing", "vmlinuz-6.12.0-new does not exist: install kernel 6.12.0-new first"),
    (kernel(image_release="6.1.0"), "image-wrong", "is release 6.1.0, wanted is 6.12.0-new"),
    (kernel(initrd_bytes=None), "initrd-missing", "update-initramfs -c -k 6.12.0-new"),
    ({"modules": replace(MODULES, available=None)}, "modules-missing", "/lib/modules/6.12.0-new does not exist"),
    ({"modules": replace(MODULES, available=frozenset({"e1000"}))}, "module-missing", f"PF {PF} needs module igb"),
    (
        {"writers": (Writer("netplan", "/etc/netplan/a.yaml"),)},
        "writer",
        "netplan writes sriov_numvfs too",
    ),
    ({"eswitch": {PF: "switchdev"}}, "switchdev", f"PF {PF} is in switchdev mode"),
    ({"pfs": {PF: PfState(PF, total=7, enabled=7)}}, "pf-driver", "has VFs enabled, but no driver: bind it"),
    ({"disk_in_memory": True}, "disk-volatile", "is on ext4 in memory, which a kexec empties: put it on a disk"),
    ({"disk_kind": "tmpfs"}, "disk-volatile", "is on tmpfs, which a kexec empties: put it on a disk"),
    ({"disk_free_bytes": MIB}, "disk-full", "states may need 192 MiB"),
    ({"memory_free_bytes": MIB}, "memory", "loading the kernel needs 102 MiB, 1 MiB are free"),
    ({"watchdogs": (Watchdog("watchdog0", "iTCO", True, 12.0),)}, "watchdog", "set its timeout to at least 30 s"),
    (
        {"locked": (Locked("root_crypt", "sda2", ("/",), early=True),)},
        "passphrase",
        "wait for a person: / is on encrypted volume root_crypt: nothing but a passphrase opens it: give it a key",
    ),
    ({"phase": "saving"}, "in-progress", "an earlier live update is in phase saving: run the playbook"),
    ({"phase": "done"}, "in-progress", "an earlier live update is in phase done"),
    ({"not_installed": ("/usr/local/sbin/sriovctl",)}, "not-installed", "apply role kvmfleet.sriov.sriov"),
    ({"others": Others("a reboot")}, "shutdown-scheduled", "shutdown -c"),
    ({"vms": (VM, second())}, "vm-name", "processes 77 and 78 are both VM web1"),
    ({"vms": (VM, second(name="web2"))}, "vm-unit", "VMs web1 and web2 share unit web1.service"),
    (
        {"image_writers": {77: ("process 78 (qemu-nbd, no unit) has its image /vm/web1.img open for writing",)}},
        "image-used",
        "VM web1 (process 77): process 78 (qemu-nbd, no unit) has its image /vm/web1.img open for writing",
    ),
    (vm(name="my vm"), "vm-name", "VM 'my vm' (process 77) has no name that a folder can have"),
    (qemu(argv=("qemu-system-x86_64", "-qmp", "unix:/run/web1")), "vm", "it has no name, so nobody would know it"),
    (probe(pid=78), "vm", "process 78 answers at its monitor"),
    (qemu(libvirt=True), "vm", "it is managed by libvirt: migrate it away or shut it down first"),
    (qemu(own_namespaces=True), "vm", "namespaces of its own"),
    (qemu(uid=107), "vm", "it runs as user 107: run it as root"),
    (
        qemu(fragment="/etc/systemd/system/web1.service"),
        "vm",
        "could start it a second time: start it in",
    ),
    (qemu(restart="always"), "vm", "has Restart=always"),
    (argv("-netdev", "tap,fd=24"), "vm", "it inherited file descriptors (tap,fd=24): name devices"),
    (argv("-netdev", "tap,ifname=v1,script=no"), "vm", "its tap interface v1 is made by somebody else"),
    (argv("-snapshot"), "vm", "disk writes would be lost: use an overlay file"),
    (argv("-readconfig", "/etc/vm.cfg"), "vm", "-readconfig file"),
    (qemu(qmp=None), "vm", "it has no QMP socket: start it with -qmp unix:PATH"),
    (qemu(probe=None, probe_error="in use"), "vm", "it does not answer at /run/web1 (in use): close other QMP clients"),
    (probe(status="paused"), "vm", "it is paused, not running"),
    (probe(unsaveable=("QEMU refuses to migrate it: x",)), "vm", "QEMU refuses to migrate it: x"),
    (vm(unknown_devices=("0000:09:00.0",)), "vm", "it owns 0000:09:00.0, which is not a VF of this host"),
]


@pytest.mark.parametrize(("change", "code", "part"), TABLE, ids=[row[2][:40] for row in TABLE])
def test_one_change_one_refusal(change: dict[str, Any], code: str, part: str) -> None:
    found = refusals(replace(GOOD, **change))
    assert [item[0] for item in found] == [code]
    assert part in found[0][1]


def codes(path: Path) -> set[str]:
    """Codes of the findings that a file makes."""
    calls = [one for one in ast.walk(ast.parse(path.read_text())) if isinstance(one, ast.Call)]
    firsts = [one.args[0] for one in calls if getattr(one.func, "id", "") == "Finding" and one.args]
    return {str(one.value) for one in firsts if isinstance(one, ast.Constant)}


def test_no_finding_is_without_a_test() -> None:
    found = codes(Path(str(preflight.__file__)))
    texts = [path.read_text() for path in Path(__file__).parent.glob("test_*.py")]
    found |= codes(Path(str(vm_rules.__file__))) | codes(Path(str(strategies.__file__)))
    assert len(found) > 15
    assert [code for code in sorted(found) if not any(f'"{code}"' in text for text in texts)] == []


def test_good_host() -> None:
    assert refusals(GOOD) == []
    assert preflight.judge(GOOD, BACKENDS, Options(), 60.0).warnings == ()


@pytest.mark.parametrize(
    ("change", "options"),
    [
        ({"writers": (Writer("netplan", "/etc/netplan/a.yaml"),)}, Options(allow_writers=("/etc/netplan/a.yaml",))),
        ({"modules": replace(MODULES, available=frozenset({"psmouse"}))}, Options(allow_missing_modules=("igb",))),
        ({"watchdogs": (Watchdog("watchdog0", "iTCO", False, 12.0),)}, Options()),
        ({"watchdogs": (Watchdog("watchdog0", "iTCO", True, 12.0, stops=True),)}, Options()),
        ({"watchdogs": (Watchdog("watchdog0", "iTCO", True, 120.0),)}, Options()),
        ({"eswitch": {PF: "legacy"}}, Options()),
        ({"phase": "armed"}, Options()),
        (kernel(image_release=None), Options()),
        (kernel(rules=Rules(lockdown="integrity"), image_signed=True), Options()),
        (kernel(rules=Rules(lockdown="integrity"), image_signed=None), Options()),
        (kernel(rules=Rules(lockdown="integrity", signatures="none"), image_signed=False), Options()),
        (kernel(rules=Rules(signatures="checked", limit=1), image_signed=False), Options()),
        (qemu(fragment="", restart=""), Options()),
        (kernel(initrd=None, initrd_bytes=None), Options()),
    ],
)
def test_what_is_no_reason(change: dict[str, Any], options: Options) -> None:
    assert refusals(replace(GOOD, **change), options) == []


def test_all_reasons_come_at_once() -> None:
    changes: dict[str, Any] = {"disk_kind": "tmpfs", "phase": "failed", **qemu(uid=3, libvirt=True)}
    assert [code for code, _text in refusals(replace(GOOD, **changes))] == ["in-progress", "disk-volatile", "vm", "vm"]


PFS = {f"0000:{number:02x}:00.0": PfState("x", total=250, enabled=250, driver="ice") for number in range(10)}
NVME_PFS = {address: pf._replace(driver="nvme") for address, pf in PFS.items()}
VMS = tuple(
    replace(VM, name=f"v{n}", unit=f"v{n}.service", vfs=(UsedVf(PF, n, "a"),), memory_bytes=2048 * MIB)
    for n in range(100)
)


NO_PARTS = dict.fromkeys(("unplug", "shutdown", "copy", "save", "enumerate", "enable", "add", "restore", "plug"), 0.0)
STOPPED = {"unplug": 6.0, "shutdown": 0.0, "copy": 0.0, "save": 200.0, "boot": 1.0, "enumerate": 10.0, "enable": 0.1,
           "add": 0.1, "restore": 200.0, "plug": 0.1, "pause": 411.3, "total": 417.3}  # fmt: skip
LIVE = tuple(replace(vm, live=True) for vm in VMS)


@pytest.mark.parametrize(
    ("facts", "options", "expected"),
    [
        (replace(GOOD, pfs=PFS, vms=VMS), Options(rate_mib_s=1024.0, boot_s=1.0), STOPPED),
        (replace(GOOD, pfs=PFS, vms=VMS), Options(rate_mib_s=1024.0, boot_s=1.0, interface="stock"),
         {**STOPPED, "enable": 1.0, "add": 2.5, "pause": 414.6, "total": 420.6}),
        (replace(GOOD, pfs={}, vms=()), Options(boot_s=3.0), {**NO_PARTS, "boot": 3.0, "pause": 3.0, "total": 3.0}),
        (replace(GOOD, pfs=PFS, vms=VMS, **kernel(keeps_vfs=True)), Options(rate_mib_s=1024.0, boot_s=1.0), STOPPED),
        (replace(GOOD, pfs=NVME_PFS, vms=VMS, **kernel(keeps_vfs=True)), Options(rate_mib_s=1024.0, boot_s=1.0),
         {**STOPPED, "enumerate": 0.0, "enable": 0.0, "pause": 401.2, "total": 407.2}),
        (replace(GOOD, pfs=PFS, vms=LIVE), Options(rate_mib_s=1024.0, boot_s=1.0),
         {**STOPPED, "copy": 200.0, "save": 3.125, "pause": 214.425, "total": 420.425}),
        (replace(GOOD, pfs={}, vms=tuple(replace(vm, vfs=()) for vm in LIVE)), Options(rate_mib_s=1024.0, boot_s=1.0),
         {**NO_PARTS, "copy": 200.0, "save": 3.125, "boot": 1.0, "restore": 200.0, "pause": 204.125, "total": 204.125}),
    ],
)  # fmt: skip
def test_estimate(facts: Facts, options: Options, expected: dict[str, float]) -> None:
    """Without VFs nothing but the pause is an outage."""
    assert estimate(facts, options) == pytest.approx(expected)


def test_both_figures_of_each_vm() -> None:
    """A VM of higher priority waits for less memory."""
    vms = (replace(LIVE[0], vfs=()), replace(VMS[1], memory_bytes=1024 * MIB), LIVE[2])
    facts, options = replace(GOOD, pfs={}, vms=vms), Options(rate_mib_s=1024.0, boot_s=1.0, restore_at_once=1)
    found = {one.name: one for one in of_vms(facts, options, {"v2": {"priority": 9}})}
    assert list(found) == ["v2", "v0", "v1"]
    fixed = 1.0 + 2 * 32 / 1024 + 1.0 + 0.002 + 0.1  # boot, both rests, v1 as a whole, adding and plugging
    assert [one.pause_s for one in found.values()] == pytest.approx([fixed + 2, fixed + 4, fixed + 5], abs=0.002)
    assert [one.without_vf_s for one in found.values()] == pytest.approx([fixed + 12, 0, fixed + 15], abs=0.002)
    assert [one.live for one in found.values()] == [True, True, False]
    beside = list(of_vms(facts, replace(options, restore_at_once=2), {}))
    assert [one.pause_s for one in beside] == pytest.approx([fixed + 3, fixed + 5, fixed + 5], abs=0.002)


def test_an_outage_of_memory_says_what_would_shorten_it() -> None:
    facts = replace(GOOD, pfs=PFS, vms=(*VMS[:2], *LIVE[2:4]), state_disk="254:3")
    text = to_shorten(facts, estimate(facts, Options()))
    assert text == (
        "4 VMs write 8192 MiB to disk 254:3 and read it: a QEMU with mapped-ram (9.0) for v0, v1, or a faster disk"
        " (measure it: playbook rehearse), or fewer VMs on this host, or a second NIC for guests, as their memory is"
        " copied while they run without VF"
    )
    assert "for v0, v1, v2, v3, v4 and 95 more" in to_shorten(replace(facts, vms=VMS), {**STOPPED})
    assert to_shorten(facts, estimate(facts, Options(boot_s=900.0))) == ""
    (budget,) = [item for item in preflight.judge(facts, BACKENDS, Options(), 20.0).refusals if item.code == "budget"]
    assert text in budget.fix


def test_budget_is_refused_with_what_the_kernel_lacks() -> None:
    facts = replace(GOOD, pfs=PFS, vms=VMS)
    found = refusals(facts, Options(rate_mib_s=1024.0), budget_s=20.0)
    assert [code for code, _text in found] == ["disk-full", "budget"]
    assert "10 PFs x 1 s: the new kernel does not keep VFs enabled over kexec" in found[1][1]
    assert "the budget is 20 s" in found[1][1]
    keeping = refusals(replace(facts, **kernel(keeps_vfs=True)), Options(rate_mib_s=1024.0), budget_s=10.0)
    assert "budget" in [code for code, _text in keeping]
    assert not any("does not keep" in text for _code, text in keeping)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"journal_persistent": False}, "journal"),
        ({"modules": replace(MODULES, loaded=frozenset({"igb", "floppy"}))}, "modules-lost"),
        (kernel(interface=None), "interface"),
        (kernel(cmdline_after="panic=0"), "panic"),
    ],
)
def test_warnings(change: dict[str, Any], code: str) -> None:
    verdict = preflight.judge(replace(GOOD, **change), BACKENDS, Options(), 60.0)
    assert ([item.code for item in verdict.warnings], verdict.refusals) == ([code], ())
    assert verdict.to_dict()["warnings"][0]["code"] == code


SHORT = Watchdog("watchdog0", "iTCO_wdt", True, 5.0, module="igb", holder="systemd")
LONG = replace(SHORT, name="watchdog1", timeout_s=500.0)
DRY = {77: DryStart(untried=("vnc",), problem="no such machine", fix="install it")}


@pytest.mark.parametrize(
    ("changes", "options", "refused", "warned"),
    [
        ({"watchdogs": (SHORT,)}, Options(), "watchdog", []),
        ({"watchdogs": (SHORT, LONG)}, Options(), "watchdog", ["watchdog1"]),
        ({"watchdogs": (LONG,)}, Options(), None, ["watchdog1"]),
        ({"watchdogs": (replace(LONG, module="gone"),)}, Options(), "watchdog-unfed", []),
        ({"watchdogs": (replace(LONG, stops=True),)}, Options(watchdog="require"), "watchdog-required", []),
        ({"dry_starts": DRY}, Options(), "dry-start", []),
        ({"dry_starts": {77: DryStart(untried=("vnc",))}}, Options(), None, ["vnc"]),
        ({"kernel": replace(KERNEL, interface=None)}, Options(interface="stock"), None, ["sriov_numvfs"]),
        ({"kernel": replace(KERNEL, image_bytes=None)}, Options(interface="stock"), "image-missing", []),
    ],
)
def test_what_is_refused_is_not_warned_of_too(
    changes: dict[str, Any], options: Options, refused: str | None, warned: list[str]
) -> None:
    verdict = preflight.judge(replace(GOOD, **changes), BACKENDS, options, 600.0)
    assert [item.code for item in verdict.refusals] == ([refused] if refused else [])
    spoken = [item.problem for item in verdict.warnings if item.code not in ("journal", "modules-lost")]
    assert len(spoken) == len(warned)
    assert all(word in problem for word, problem in zip(warned, spoken))
    assert all(set(item) == {"code", "problem", "fix"} for item in verdict.to_dict()["refusals"])
