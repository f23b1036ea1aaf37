# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules for the boot of a new kernel, which nobody watches."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import boot_rules, kernel_facts, kexec
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.crypttab import Entry
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.facts import Facts
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.locked_volumes import Locked
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report.way_back import way_back
from tests.fake.linux.pf import FakePf
from tests.fake.vm.node import NEW, OLD, FakeNode
from tests.fake.vm.update import arm, request
from tests.unit.plugins.module_utils._live_update.test_meant_kernel import BUILD, image
from tests.unit.plugins.module_utils._live_update.test_preflight import GOOD

ASKS = Locked("root_crypt", "sda2", ("/",), early=True, entry=Entry("root_crypt", "UUID=u"))


def with_line(good: Facts, cmdline: str) -> Facts:
    return replace(good, kernel=replace(good.kernel, cmdline_after=cmdline))


@pytest.mark.parametrize(
    ("cmdline", "seconds", "how_long"),
    [
        ("root=/dev/vda panic=0", 0, "for ever"),
        ("root=/dev/vda", 0, "for ever"),
        ("panic=30 panic=soon", 0, "for ever"),
        ("panic=0 panic=100000", 100000, "100000 s"),
        ("panic=0 panic=30", 30, ""),
        ("panic=-1", -1, ""),
        ("panic=300", 300, ""),
        ('panic=30 x="a panic=0 b"', 30, ""),
        ('"panic=30"', 30, ""),
        ("ro -- panic=30", 0, "for ever"),
    ],
)
def test_a_panic_leads_back_soon(cmdline: str, seconds: int, how_long: str) -> None:
    found = with_line(GOOD, cmdline)
    assert boot_rules.panic_s(cmdline) == seconds
    for options in (Options(), Options(panic="refuse")):
        both = list(boot_rules.check(found, options)), list(boot_rules.warnings(found, options))
        named, other = both if options.panic == "refuse" else both[::-1]
        assert (other, [item.code for item in named]) == ([], ["panic"] if how_long else [])
        assert all(f"hanging {how_long}: its command line has panic={seconds}" in item.problem for item in named)


def test_a_passphrase_is_a_refusal_unless_it_is_allowed() -> None:
    found = replace(GOOD, locked=(ASKS,))
    assert [item.code for item in boot_rules.check(found, Options())] == ["passphrase"]
    assert list(boot_rules.check(found, Options(allow_passphrase=("root_crypt",)))) == []


def test_the_line_is_that_of_the_new_kernel(node: FakeNode) -> None:
    """Whoever asks for another value gets it: the last word counts."""
    node.put("/proc/cmdline", "root=/dev/vda panic=0 kvmfleet.update=old\n")
    release = request().release
    read = kernel_facts.read(node.host.sysfs, release, "auto", "panic=10")
    assert read.cmdline_after == "root=/dev/vda panic=0 panic=10"
    assert boot_rules.panic_s(kernel_facts.read(node.host.sysfs, NEW, "auto").cmdline_after) == 0


@pytest.mark.parametrize(
    ("content", "build", "why"),
    [
        (None, None, f"/boot/vmlinuz-{OLD} does not exist any more"),
        (image(), None, f"/boot/vmlinuz-{OLD} is release {NEW} by now"),
        (image().replace(NEW.encode(), OLD.encode()), "#2 SMP", f"is the build '{BUILD}' by now, running is '#2 SMP'"),
        (image().replace(NEW.encode(), OLD.encode()), BUILD, None),
        (image().replace(NEW.encode(), OLD.encode()), None, None),
        (b"no bzImage", BUILD, None),
    ],
)
def test_a_way_back_needs_its_kernel(node: FakeNode, content: bytes | None, build: str | None, why: str | None) -> None:
    if content is not None:
        (node.host.root / f"boot/vmlinuz-{OLD}").write_bytes(content)
    if build is not None:
        node.put("/proc/sys/kernel/version", build + "\n")
    kernel = kernel_facts.read(node.host.sysfs, NEW, "auto")
    assert (kernel.no_way_back or "").endswith(why or "")
    found = replace(GOOD, kernel=replace(GOOD.kernel, no_way_back=kernel.no_way_back))
    for policy in ("now", "window"):
        expected = ["no-way-back"] if why else []
        assert [item.code for item in boot_rules.check(found, Options(rollback=policy))] == expected
    assert list(boot_rules.check(found, Options())) == []


@pytest.mark.parametrize(
    ("release", "build", "runs"),
    [(OLD, BUILD, False), (NEW, BUILD, True), (NEW, "#1 SMP, older", False), (NEW, None, True)],
)
def test_an_old_build_of_a_release_is_another_kernel(
    node: FakeNode, release: str, build: str | None, runs: bool
) -> None:
    node.put("/proc/sys/kernel/osrelease", release + "\n")
    (node.host.root / f"boot/vmlinuz-{NEW}").write_bytes(image())
    if build is not None:
        node.put("/proc/sys/kernel/version", build + "\n")
    assert kernel_facts.read(node.host.sysfs, NEW, "auto").is_running is runs


@pytest.mark.parametrize("before", ["root=/dev/vda ro quiet", "root=/dev/vda panic=5", 'dyndbg="file  a.c +p; b" ro'])
def test_the_way_back_has_the_command_line_before(node: FakeNode, pf: FakePf, before: str) -> None:
    node.put("/proc/cmdline", f"BOOT_IMAGE=/vmlinuz {before}\n")
    node.put(f"/boot/initrd.img-{OLD}", "initrd")
    kernel = arm(node, cmdline_extra="pci=sriov_keep_vfs console=x").to_dict()["kernel"]
    assert "pci=sriov_keep_vfs console=x" in kernel["cmdline"]
    found = way_back(kernel)
    assert (found["kernel"], found["initrd"]) == (OLD, f"/boot/initrd.img-{OLD}")
    back = kexec.command_line(kernel["cmdline"], None, "kvmfleet.update", found["command_line"])
    assert back == (before if "panic" in before else f"{before} panic=30")
    assert way_back({**kernel, "initrd_before": None})["initrd"] == "none"


def test_the_way_back_has_words_that_the_update_took_away(node: FakeNode, pf: FakePf) -> None:
    node.put("/proc/cmdline", "BOOT_IMAGE=/vmlinuz root=/dev/vda ro intel_iommu=off panic=5\n")
    kernel = arm(node, cmdline_extra="-intel_iommu=off intel_iommu=on").to_dict()["kernel"]
    back = kexec.command_line(kernel["cmdline"], None, "kvmfleet.update", way_back(kernel)["command_line"])
    assert sorted(back.split()) == sorted(["root=/dev/vda", "ro", "intel_iommu=off", "panic=5"])
