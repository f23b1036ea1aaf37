# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's two files as texts: grub.cfg and the environment block."""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._boot import grub_menu, grub_script, grubenv
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


class NoFiles:
    """A disk of which nothing is known."""

    def present(self, _kind: str, _path: str, _root: str | None) -> bool | None:
        return None

    def glob(self, _pattern: str, _root: str | None) -> list[str] | None:
        return None

    def text(self, _path: str, _root: str | None) -> str | None:
        return None


ASKED = {
    "the menu's disk, by its UUID": ("cryptomount -u 0123", "", True),
    "every encrypted disk": ("cryptomount -a", "", True),
    "the entry's disk": ("", "cryptomount -u 0123", True),
    "a disk, where only the boot shows it": ("if keystatus --shift; then cryptomount -a; fi", "", True),
    "a superuser's password": ("authenticate root", "", True),
    "a key in a file": ("cryptomount -u 0123 -k (hd0)/key", "", False),
    "a key in a file, as one word": ("cryptomount -u 0123 --key-file=(hd0)/key", "", False),
    "nothing": ("", "", False),
}


@pytest.mark.parametrize(("before", "within", "waits"), ASKED.values(), ids=ASKED.keys())
def test_a_boot_that_asks_a_person_waits(before: str, within: str, waits: bool) -> None:
    """Nobody would type the passphrase of a kernel that is tried."""
    text = f"{before}\nset timeout=0\nmenuentry a {{\n{within}\nlinux /boot/vmlinuz-6.1\n}}\n"
    assert grub_menu.read(text, {}, "(boot)/boot/grub", NoFiles()).waits() is waits
