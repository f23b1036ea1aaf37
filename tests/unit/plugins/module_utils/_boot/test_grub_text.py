# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's two files as texts: grub.cfg and the environment block."""

from __future__ import annotations

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import grub_script, grubenv
from tests.fake.boot import plain


def block(text: str) -> bytes:
    return (grubenv.SIGNATURE + text).ljust(grubenv.SIZE, "#").encode()


def test_the_same_text_is_parsed_once() -> None:
    """An answer asks four times, and parsing is most of its time."""
    first = grub_script.parse(plain.CONFIGURATION)
    assert grub_script.parse("".join(list(plain.CONFIGURATION))) is first
    assert grub_script.parse(plain.CONFIGURATION + "true\n") != first


def test_a_line_of_the_environment_block_ends() -> None:
    """What has no end of a line is padding."""
    assert grubenv.parse(block("saved_entry=a\\\nb\nempty=\n#x=y\n")) == {"saved_entry": "a\nb", "empty": ""}
    assert grubenv.parse(block("saved_entry=a\nnext_entry=b")) == {"saved_entry": "a"}
    assert grubenv.parse(block("saved_entry=a\nnext_entry=b\\")) == {"saved_entry": "a"}
