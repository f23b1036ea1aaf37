# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Verdicts on signatures, against the real shim with keys of ours.

Microsoft's keys are the firmware's, which starts Debian's signed shim. Real as well: sbsign, and Debian's signed GRUB.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_package import signature, trust
from tests.fake.boot import ovmf, ovmf_shim
from tests.unit.plugins.module_utils._kernel_package.test_secure_boot import signed
from tests.unit.plugins.module_utils._kernel_package.test_trust import MOK, MOKX, Host, Keys, listed

pytestmark = [
    pytest.mark.slow,
    pytest.mark.heavy,
    pytest.mark.skipif(bool(ovmf_shim.missing()), reason=f"not on this machine: {', '.join(ovmf_shim.missing())}"),
]
CASES: dict[str, tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...], str]] = {
    # who has signed it; what MokList has, beside the key of the other kernel; what MokListX has; the verdict
    "unsigned": ((), ("fleet",), (), trust.UNTRUSTED),
    "signed": (("fleet",), ("fleet",), (), trust.TRUSTED),
    "signed by another key": (("other",), ("fleet",), (), trust.UNTRUSTED),
    "issued by one that is enrolled": (("fleet",), ("ca",), (), trust.TRUSTED),
    "revoked": (("fleet",), ("fleet",), ("fleet",), trust.REVOKED),
    "revoked by its digest": (("fleet",), ("fleet",), ("digest",), trust.REVOKED),
}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    made = Keys(tmp_path_factory.mktemp("keys"))
    for name in ("other", "good"):
        made.add(name)
    return made


@pytest.mark.parametrize(("who", "enrolled", "revoked", "verdict"), CASES.values(), ids=CASES.keys())
def test_grub_starts_kernels_that_shim_trusts(
    tmp_path: Path, keys: Keys, who: tuple[str, ...], enrolled: tuple[str, ...], revoked: tuple[str, ...], verdict: str
) -> None:
    """Shim takes GRUB for the distribution's key, and kernels for ours."""
    tried = ovmf_shim.kernel(ovmf.TRIED)
    digest = bytes.fromhex(signature.read(tried).digest)

    def lists(names: tuple[str, ...]) -> bytes:
        return b"".join(
            listed(trust.SHA256, digest) if name == "digest" else listed(trust.X509, keys.der(name)) for name in names
        )

    mok = {"MokList": lists((*enrolled, "good")), "MokListX": lists(revoked)}
    host = Host(tmp_path / "host")
    host.image(signed(keys, tried, who, tmp_path))
    host.variable(MOK, mok["MokList"])
    host.variable(MOKX, mok["MokListX"])
    machine = ovmf_shim.ThroughShim(tmp_path / "machine", mok)
    other = signed(keys, ovmf_shim.kernel(ovmf.OTHER), ("good",), tmp_path)
    started = machine.starts((host.root / "boot/vmlinuz-1").read_bytes(), other)
    assert (host.judge(), started) == (verdict, verdict == trust.TRUSTED)
