# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a boot would wait for a person at an encrypted volume."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update import passphrases
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.crypttab import Entry, options, parse
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.locked_volumes import Locked
from ansible_collections.kvmfleet.sriov.plugins.module_utils._live_update.luks_header import Token

ROOT = Locked("root_crypt", "sda2", ("/",), early=True, entry=Entry("root_crypt", "UUID=u"))
DATA = replace(ROOT, needed_for=("/var/lib/kvmfleet-sriov/live-update",), early=False)
TPM, CLEVIS = Token("systemd-tpm2", (7,)), Token("clevis", (0, 7))


def opened(entry: str = "", **changes: Any) -> dict[str, Any]:  # noqa: ANN401 - keyword arguments of several types
    """Changes to a volume: its line in crypttab, and others."""
    key, _blank, more = entry.partition(" ")
    return {"entry": Entry("root_crypt", "UUID=u", key or None, options(more)), **changes}


@pytest.mark.parametrize(
    ("one", "change", "why"),
    [
        (ROOT, opened(), "nothing but a passphrase opens it"),
        (ROOT, opened(tokens=(TPM,)), "nothing but a passphrase opens it"),
        (ROOT, opened("/etc/root.key"), "its key file /etc/root.key is not in the new kernel's initrd"),
        (ROOT, opened(cmdline={"key": "/root.key"}), "its key file /root.key is not in the new kernel's initrd"),
        (DATA, opened("/etc/data.key"), "its key file /etc/data.key is not on this host"),
        (ROOT, opened(" tpm2-device=auto,tpm2-pin=yes", tokens=(TPM,)), "its TPM wants a PIN"),
        (ROOT, opened(" tpm2-device=auto", tokens=(replace(TPM, pin=True),)), "its TPM wants a PIN"),
        (
            ROOT,
            opened(" tpm2-device=auto", tokens=(Token("systemd-tpm2", (7, 11, 15)),)),
            "its key is sealed against PCR 11, 15, which a kexec does not reset",
        ),
        (ROOT, opened(" fido2-device=auto"), "its FIDO2 token has to be touched"),
        (ROOT, opened(" pkcs11-uri=auto"), "its smart card wants a PIN"),
        (ROOT, opened(tokens=(CLEVIS,)), "clevis would open it, and is not in the initrd"),
        (DATA, opened(tokens=(CLEVIS,)), "clevis would open it, and is not installed as a unit"),
        (ROOT, opened(tokens=(Token("clevis", (10,)),), clevis=True), "sealed against PCR 10"),
        (ROOT, opened(" keyscript=/lib/cryptsetup/scripts/decrypt_keyctl"), "decrypt_keyctl asks for a passphrase"),
        (DATA, opened(" noauto", key_there=True), "it is noauto in /etc/crypttab"),
        (DATA, {"entry": None, "key_there": True}, "no line of /etc/crypttab opens it"),
    ],
)
def test_a_boot_that_waits_for_a_person_is_refused(one: Locked, change: dict[str, Any], why: str) -> None:
    (found,) = passphrases.check([replace(one, **change)], ())
    assert found.code == "passphrase"
    assert str(found).startswith(f"the new kernel would wait for a person: {one.needed_for[0]} is on encrypted volume")
    assert why in found.problem
    assert list(passphrases.check([replace(one, **change)], ("root_crypt",))) == []


@pytest.mark.parametrize(
    ("one", "change"),
    [
        (ROOT, opened("/etc/root.key", key_there=True)),
        (ROOT, opened(key_there=True)),
        (ROOT, opened(" tpm2-device=auto", tokens=(TPM,))),
        (ROOT, opened(" tpm2-device=auto", tokens=(Token("systemd-tpm2", (11,)), TPM))),
        (ROOT, opened(cmdline={"options": "tpm2-device=auto"}, tokens=(TPM,))),
        (ROOT, opened(tokens=(CLEVIS,), clevis=True)),
        (ROOT, opened("keyscript keyscript=decrypt_derived")),
        (DATA, opened("/dev/urandom", key_there=False)),
        (DATA, opened("/dev/hwrng", key_there=False)),
        (DATA, opened("/etc/data.key", key_there=True)),
    ],
)
def test_a_boot_that_opens_its_volumes_is_not(one: Locked, change: dict[str, Any]) -> None:
    assert list(passphrases.check([replace(one, **change)], ())) == []
    assert list(passphrases.warnings([replace(one, **change)], ())) == []


@pytest.mark.parametrize(
    "change", [opened("/etc/root.key", key_there=None), opened(tokens=(CLEVIS,), clevis=None)], ids=["key", "clevis"]
)
def test_an_initrd_that_nobody_lists_is_a_warning(change: dict[str, Any]) -> None:
    one = replace(ROOT, **change)
    assert list(passphrases.check([one], ())) == []
    (found,) = passphrases.warnings([one], ())
    assert "/ is on encrypted volume root_crypt: whether the initrd opens it is not known" in found.problem
    assert list(passphrases.warnings([one], ("root_crypt",))) == []


def test_a_volume_that_a_boot_waits_for_counts_too() -> None:
    (found,) = passphrases.check([replace(DATA, needed_for=())], ())
    assert "a boot waits for encrypted volume root_crypt" in found.problem


def test_lines_of_crypttab() -> None:
    text = "# a comment\n\nroot UUID=u none luks,discard\nswap /dev/sda3 /dev/urandom swap,nofail\nx\n"
    text += "data\\040x\t/dev/sdb\n"
    assert [(one.name, one.source, one.key, one.awaited) for one in parse(text)] == [
        ("root", "UUID=u", None, True),
        ("swap", "/dev/sda3", "/dev/urandom", False),
        ("data x", "/dev/sdb", None, True),
    ]
    assert parse("a b c tpm2-device=auto,luks")[0].options == {"tpm2-device": "auto", "luks": ""}
