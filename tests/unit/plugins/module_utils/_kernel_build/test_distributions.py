# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the kernels of other distributions need, and formats of handover."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build import distributions, handover
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError

LUO = """\
 *             compatible = "luo-session-v1";
#define LUO_FDT_KHO_ENTRY_NAME	"LUO"
#define LUO_FDT_COMPATIBLE	"luo-v1"
#define LUO_FDT_SESSION_COMPATIBLE	"luo-session-v1"
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "include/linux/kho/abi"
    folder.mkdir(parents=True)
    (folder / "luo.h").write_text(LUO)
    (folder / "kexec_handover.h").write_text('#define KHO_FDT_COMPATIBLE "kho-v1"\n')
    (tmp_path / "kernel").mkdir()
    (tmp_path / "kernel/kexec_handover.c").write_text('#define KHO_FDT_COMPATIBLE "kho-v1"\n')
    return tmp_path


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ({}, []),
        ({"KEXEC_HANDOVER": "y"}, ["kho-v1"]),
        ({"KEXEC_HANDOVER": "y", "LIVEUPDATE": "y"}, ["kho-v1", "luo-session-v1", "luo-v1"]),
    ],
)
def test_formats_of_handover(tree: Path, options: dict[str, str], found: list[str]) -> None:
    assert handover.formats(tree, options) == found


def test_a_source_without_handover(tmp_path: Path) -> None:
    assert handover.formats(tmp_path, {"KEXEC_HANDOVER": "y"}) == []


@pytest.mark.parametrize(
    ("value", "fine"),
    [
        ('""', True), ('"certs/signing_key.pem"', True), ('"pkcs11:token=x"', True), ('"there.pem"', True),
        ('"debian/canonical-certs.pem"', False), ('"/none/such.pem"', False),
    ],
)  # fmt: skip
def test_certificates_that_a_source_does_not_have(tmp_path: Path, value: str, fine: bool) -> None:
    (tmp_path / "there.pem").write_text("")
    for option in distributions.KEY_FILES:
        if fine:
            distributions.refuse_missing_certificates({option: value}, tmp_path)
        else:
            with pytest.raises(BadInputError, match=rf'CONFIG_{option}="" in a last configuration'):
                distributions.refuse_missing_certificates({option: value}, tmp_path)


def test_advice_for_build_hosts(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/os-release").write_text('# x\nID=ubuntu\nVERSION_CODENAME="noble"\n')
    system = distributions.os_release(tmp_path)
    assert system == {"ID": "ubuntu", "VERSION_CODENAME": "noble"}
    assert "On Ubuntu give kernel_build_source the path" in distributions.advice("6.8.0-40-generic", system)
    assert "no ZFS" in distributions.advice("6.8.12-4-pve", {"ID": "debian"})
    assert distributions.advice("6.1.0-18-amd64", {"ID": "debian"}) == ""
    assert distributions.os_release(tmp_path / "none") == {}
