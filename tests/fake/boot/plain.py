# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A host that GRUB has booted, with one entry."""

from __future__ import annotations

import json
from pathlib import Path

from . import kernel

RELEASE = "6.1.0-18-default"
ENTRY = f"linux-{RELEASE}"
CONFIGURATION = f"""load_env
set default="${{saved_entry}}"
set timeout=0
menuentry "Linux {RELEASE}" --id {ENTRY} {{
	linux /boot/vmlinuz-{RELEASE} root=/dev/vda
}}
"""
PROVEN = "var/lib/kvmfleet-sriov/boot/proven.json"


def files() -> dict[str, bytes]:
    """Files of the host by path.

    The default was seen to boot before. `/proc/self/mountinfo` has vda as its root.
    """
    proven = {"builds": [{"build": kernel.version(RELEASE), "release": RELEASE, "how": "firmware"}]}
    block = f"# GRUB Environment Block\nsaved_entry={ENTRY}\n".ljust(1024, "#")
    return {
        "/boot/grub/grub.cfg": CONFIGURATION.encode(), "/boot/grub/grubenv": block.encode(),
        f"/boot/vmlinuz-{RELEASE}": kernel.image(RELEASE), "/sys/block/vda/size": b"1\n",
        "/dev/vda": b"GRUB \0Geom\0".ljust(512, b"\0"), f"/{PROVEN}": json.dumps(proven).encode(),
    }  # fmt: skip


def put(root: Path) -> None:
    for name, data in files().items():
        path = root / name.lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    link = root / "sys/dev/block/254:0"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to("../../block/vda")
