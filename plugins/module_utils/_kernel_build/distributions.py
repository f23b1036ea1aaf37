# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What kernels of other distributions than Debian need, in words."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from .._model.errors import BadInputError

KEY_FILES = ("SYSTEM_TRUSTED_KEYS", "SYSTEM_REVOCATION_KEYS", "MODULE_SIG_KEY")
"""Options that name files of certificates (certs/Kconfig)."""
GENERATED = "certs/signing_key.pem"
"""The module signing key that the build makes itself."""
OPERATORS = "certs/kvmfleet-signing.pem"
"""Where kbuild finds an operator's signing key during a build (`signing`)."""
UBUNTU = (
    "On Ubuntu give kernel_build_source the path of the archive in its package linux-source-X.Y.Z (a .tar.bz2 below"
    " /usr/src), kernel_build_config [running] and a fragment, and kernel_build_series '' or a series of your own: the"
    " one of this collection is made for Debian's source"
)
PROXMOX = (
    "Proxmox has no package of its kernel's source. A kernel of Debian's source (package linux-source-6.12 of Debian)"
    " has none of Proxmox's patches and no ZFS: it suits hosts without ZFS alone"
)


def os_release(root: Path = Path("/")) -> dict[str, str]:
    """Fields of os-release(5), empty without one."""
    try:
        text = (root / "etc/os-release").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return {}
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and line[:1] != "#")
    return {name.strip(): value.strip().strip("\"'") for name, value in pairs}


def advice(release: str, system: Mapping[str, str]) -> str:
    """What to do on this build host instead, empty on Debian.

    ``release``: of its running kernel; ``system``: fields of os-release.
    """
    if "-pve" in release:
        return f". {PROXMOX}"
    return f". {UBUNTU}" if system.get("ID") == "ubuntu" else ""


def refuse_missing_certificates(options: Mapping[str, str], tree: Path) -> None:
    """Raise BadInputError where a configuration names missing certificates.

    Ubuntu's do (``debian/canonical-certs.pem``): the build would fail after most of its time.
    """
    for option in KEY_FILES:
        name = options.get(option, "").strip('"')
        if (
            name
            and name not in (GENERATED, OPERATORS)
            and not name.startswith("pkcs11:")
            and not (tree / name).is_file()
        ):
            raise BadInputError(
                f'the configuration has CONFIG_{option}="{name}", a file that this source does not have: give its path,'
                f' or CONFIG_{option}="" in a last configuration of kernel_build_config (Ubuntu\'s need this)'
            )
