# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules of the running kernel about loading another."""

from __future__ import annotations

import errno

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import kernel_facts, kexec, kexec_rules
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.kexec_rules import Rules
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import process
from tests.fake.vm.node import NEW, OLD, FakeNode

CONFIG = f"/boot/config-{OLD}"
STATUS = "/proc/self/status"


def image(certificates: int = 0, *, pe32_plus: bool = True, end: bytes = b"") -> bytes:
    """A PE file whose certificate table has so many bytes."""
    optional = bytearray(240)
    optional[0:2] = b"\x0b\x02" if pe32_plus else b"\x0b\x01"
    where = (112 if pe32_plus else 96) + 4 * 8
    optional[where + 4 : where + 8] = certificates.to_bytes(4, "little")
    head = bytearray(0x40)
    head[:2], head[0x3C:0x40] = b"MZ", (0x80).to_bytes(4, "little")
    return bytes(head).ljust(0x80, b"\0") + b"PE\0\0" + bytes(20) + bytes(optional) + end


@pytest.mark.parametrize(
    ("data", "signed"),
    [
        (image(), False),
        (image(1400), True),
        (image(1400, pe32_plus=False), True),
        (image(pe32_plus=False), False),
        (image(end=b"x" * 100 + kexec_rules.MARK), True),
        (image(end=kexec_rules.MARK + b"x"), False),
        (b"kernel", False),
        (b"", False),
        (b"MZ" + b"\xff" * 70, False),
    ],
)
def test_signatures_are_seen(node: FakeNode, data: bytes, signed: bool) -> None:
    with open(node.host.sysfs.real(f"/boot/vmlinuz-{NEW}"), "wb") as file:
        file.write(data)
    assert kernel_facts.read(node.host.sysfs, NEW, None).image_signed is signed


def test_an_image_that_is_missing_is_neither(node: FakeNode) -> None:
    assert kernel_facts.read(node.host.sysfs, "9.9", None).image_signed is None


@pytest.mark.parametrize(
    ("files", "rules"),
    [
        ({}, Rules()),
        ({kexec_rules.LOCKDOWN: "[none] integrity confidentiality\n"}, Rules()),
        ({kexec_rules.LOCKDOWN: "none [integrity] confidentiality\n"}, Rules("integrity")),
        ({kexec_rules.LOCKDOWN: "none integrity [confidentiality]\n"}, Rules("confidentiality")),
        ({kexec_rules.LOCKDOWN: "nonsense\n"}, Rules()),
        ({kexec_rules.DISABLED: "1\n"}, Rules(disabled=True)),
        ({kexec_rules.DISABLED: "0\n"}, Rules()),
        ({kexec_rules.LIMIT: "-1\n"}, Rules()),
        ({kexec_rules.LIMIT: "0\n"}, Rules(limit=0)),
        ({kexec_rules.LIMIT: "no number\n"}, Rules()),
        ({CONFIG: "# CONFIG_KEXEC_SIG is not set\n"}, Rules(signatures="none")),
        ({CONFIG: "CONFIG_KEXEC_SIG=y\n# CONFIG_KEXEC_SIG_FORCE is not set\n"}, Rules(signatures="checked")),
        ({CONFIG: "CONFIG_KEXEC_SIG=y\nCONFIG_KEXEC_SIG_FORCE=y\n"}, Rules(signatures="required")),
    ],
)
def test_rules_are_read(node: FakeNode, files: dict[str, str], rules: Rules) -> None:
    for path, text in files.items():
        node.put(path, text)
    assert kernel_facts.read(node.host.sysfs, NEW, None).rules == rules


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({STATUS: "CapEff:\t0000000000000000\n"}, "it needs root (CAP_SYS_BOOT)"),
        ({STATUS: "CapEff:\t000001ffffbfffff\n"}, "it needs root (CAP_SYS_BOOT)"),
        ({kexec_rules.LOCKDOWN: "none [integrity] confidentiality\n"}, "the kernel is locked down (integrity)"),
        ({kexec_rules.LOCKDOWN: "none integrity [confidentiality]\n"}, "sign it with a key that this kernel trusts"),
        ({kexec_rules.DISABLED: "1\n"}, "kernel.kexec_load_disabled is 1"),
        ({kexec_rules.LIMIT: "0\n"}, "kernel.kexec_load_limit_reboot is 0"),
        ({}, "a security module may forbid it, see the kernel log"),
    ],
)
def test_eperm_is_explained(node: FakeNode, files: dict[str, str], words: str) -> None:
    for path, text in {STATUS: "CapEff:\t000001ffffffffff\n", **files}.items():
        node.put(path, text)
    loader = kexec.Kexec(node.host.sysfs, process.refuse, machine="x86_64", syscall=lambda *_words: errno.EPERM)
    with pytest.raises(KernelError) as caught:
        loader.load(f"/boot/vmlinuz-{NEW}", None, "root=/dev/vda")
    assert words in str(caught.value)
    assert ("root" in str(caught.value)) == ("root" in words)
