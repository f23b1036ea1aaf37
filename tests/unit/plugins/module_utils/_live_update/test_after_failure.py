# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What starts when the new kernel fails, as the preflight judges it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import proof, proven
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import after_failure, boot_rules
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import arm as arming
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.options import Options
from tests.fake.boot import kernel, plain
from tests.fake.vm.node import OLD, FakeNode
from tests.fake.vm.update import arm, request

CONFIGURATION, BLOCK = "/boot/grub/grub.cfg", "/boot/grub/grubenv"
OTHER = "6.12.9-other"


def codes(node: FakeNode) -> list[str]:
    return [item.code for item in after_failure.findings(after_failure.read(node.host.sysfs, node.run))]


def entry(node: FakeNode, release: str) -> None:
    """Add an entry to the menu that is tried once."""
    once = 'if [ "${next_entry}" ]; then\nset default="${next_entry}"\nset next_entry=\nsave_env next_entry\nfi\n'
    more = f"menuentry x --id linux-{release} {{\nlinux /boot/vmlinuz-{release}\n}}\n"
    node.put(CONFIGURATION, plain.CONFIGURATION.replace("set timeout", once + "set timeout") + more)
    block = f"# GRUB Environment Block\nsaved_entry={plain.ENTRY}\nnext_entry=linux-{release}\n"
    node.put(BLOCK, block.ljust(1024, "#"))


def test_a_default_that_has_booted(node: FakeNode) -> None:
    assert codes(node) == []


def unknown(node: FakeNode) -> None:
    node.put(CONFIGURATION, "unheard-of\n")


def no_loader(node: FakeNode) -> None:
    (node.host.root / "dev/vda").write_bytes(bytes(512))


def gone(node: FakeNode) -> None:
    (node.host.root / f"boot/vmlinuz-{plain.RELEASE}").unlink()


def another_build(node: FakeNode) -> None:
    (node.host.root / f"boot/vmlinuz-{plain.RELEASE}").write_bytes(kernel.image(f"{plain.RELEASE}-again"))


def damaged(node: FakeNode) -> None:
    node.put(f"/{plain.PROVEN}", "{")


def waits(node: FakeNode) -> None:
    node.put(CONFIGURATION, plain.CONFIGURATION.replace("timeout=0", "timeout=-1"))


def tried_once(node: FakeNode) -> None:
    entry(node, OTHER)
    (node.host.root / f"boot/vmlinuz-{OTHER}").write_bytes(kernel.image(OTHER))


def something_else(node: FakeNode) -> None:
    node.put(CONFIGURATION, plain.CONFIGURATION.replace("linux /boot", "chainloader /boot"))


CASES: dict[Callable[[FakeNode], None], tuple[str, str]] = {
    unknown: ("boot-unknown", "command 'unheard-of' is not understood"),
    no_loader: ("boot-unknown", "the boot loader is not known"),
    gone: ("boot-unproven", f"vmlinuz-{plain.RELEASE} does not exist"),
    another_build: ("boot-unproven", "was never seen to boot through the firmware"),
    damaged: ("boot-unproven", "was never seen to boot"),
    waits: ("boot-waits", "GRUB_TIMEOUT"),
    tried_once: ("boot-unproven", f"the next boot is /boot/vmlinuz-{OTHER}"),
    something_else: ("boot-unproven", "is no Linux kernel of this host"),
}


@pytest.mark.parametrize("change", CASES)
def test_hosts_that_would_not_come_back_are_refused(node: FakeNode, change: Callable[[FakeNode], None]) -> None:
    code, words = CASES[change]
    change(node)
    facts, verdict = arming.examine(node.live, request())
    assert [item.code for item in verdict.refusals] == [code]
    assert words in str(verdict.refusals[0])
    warned = list(boot_rules.warnings(facts, Options(boot_default="warn")))
    assert code in [item.code for item in warned]
    assert code not in [item.code for item in boot_rules.check(facts, Options(boot_default="warn"))]


def test_the_running_kernel_is_proven_by_the_firmware_alone(node: FakeNode) -> None:
    """And once armed, also when kexec has started another one."""
    (node.host.root / f"{plain.PROVEN}").unlink()
    node.put("/proc/sys/kernel/version", kernel.version(plain.RELEASE) + "\n")
    for bootloader, expected in (("208", ["boot-unproven"]), ("114", [])):
        node.put("/proc/sys/kernel/bootloader_type", bootloader + "\n")
        assert codes(node) == expected
    arm(node)
    node.put("/proc/sys/kernel/bootloader_type", "208\n")
    node.put("/proc/sys/kernel/version", "#1 SMP new\n")
    assert codes(node) == []


def test_a_kernel_that_runs_by_kexec_is_not_recorded(node: FakeNode) -> None:
    node.put("/proc/sys/kernel/version", "#1 SMP by kexec\n")
    node.put("/proc/sys/kernel/bootloader_type", "208\n")
    proof.record(node.host.sysfs)
    assert "#1 SMP by kexec" not in proven.builds(node.host.sysfs)
    node.put("/proc/sys/kernel/bootloader_type", "114\n")
    proof.record(node.host.sysfs)
    assert proven.builds(node.host.sysfs)["#1 SMP by kexec"]["release"] == OLD


def test_the_record_is_bounded(node: FakeNode) -> None:
    for number in range(proven.KEPT + 5):
        proven.add(node.host.sysfs, f"#{number}", "6.1", proven.ACCEPTED)
    found = list(proven.builds(node.host.sysfs))
    assert (len(found), found[-1]) == (proven.KEPT, f"#{proven.KEPT + 4}")


ROOT = Path(__file__).resolve().parents[5]
WORDS = (
    "grub.cfg",
    "grubenv",
    "grub-editenv",
    "grub-set-default",
    "grub-reboot",
    "loader.conf",
    "bootctl",
    "boot-tool",
)


KINDS = (".py", ".yml", ".j2", ".sh", "")
WRITES = {"roles/kernel_deploy/files/update-grub", "plugins/module_utils/_model/deadlines.py"}
"""Has grub-mkconfig write grub.cfg aside, or names its deadline.

Neither reads anything of it.
"""


def acts(path: Path) -> str:
    """What a file does.

    Of a list of tasks all but comments and tasks' names.
    """
    lines = path.read_text().splitlines()
    return "\n".join(line for line in lines if path.suffix != ".yml" or not re.match(r"\s*(#|(- )?name:)", line))


def test_nothing_else_reads_a_boot_loader() -> None:
    """What starts is one question (_boot); documents and examples may name files."""
    folders = ("plugins/module_utils", "plugins/plugin_utils", "plugins/action", "plugins/filter", "roles", "playbooks")
    files = [path for name in folders for path in (ROOT / name).rglob("*") if path.suffix in KINDS and path.is_file()]
    read = {path for path in files if any(word in acts(path) for word in WORDS)}
    own = {path for path in read if "plugins/module_utils/_boot" in str(path)}
    assert len(files) > 200
    assert len(own) > 5
    assert {str(path.relative_to(ROOT)) for path in read - own} == WRITES
