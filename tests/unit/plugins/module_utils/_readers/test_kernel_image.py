# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reading of kernel images."""

from __future__ import annotations

from ansible_collections.kvmfleet.sriov.plugins.module_utils._readers import kernel_image


def test_release_inside_a_bzimage() -> None:
    head = bytearray(0x1000)
    head[0x202:0x206] = b"HdrS"
    head[0x20E:0x210] = (0x600).to_bytes(2, "little")
    head[0x800:0x820] = b"6.12.0-new (a@b) #1 SMP".ljust(32, b"\0")
    assert kernel_image.image_release(bytes(head)) == "6.12.0-new"
    assert kernel_image.image_build(bytes(head)) == "#1 SMP"
    assert kernel_image.image_release(b"MZ" + bytes(0x1000)) is None
    assert kernel_image.image_release(b"\0" * 0x300) is None
    assert kernel_image.image_release(b"") is None
