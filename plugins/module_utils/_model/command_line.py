# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A kernel's command line: words, and how GRUB joins them.

Sources: Linux, lib/cmdline.c (next_arg); GRUB, grub-core/lib/cmdline.c (grub_create_loader_cmdline).
"""

from __future__ import annotations

import re
from collections.abc import Iterable


def split(line: str) -> list[str]:
    """The words of a command line as the kernel takes them apart.

    Blanks between double quotes are part of a word, which keeps its quotes.
    """
    return re.findall(r'(?:[^\s"]|"[^"]*(?:"|$))+', line)


def parameters(line: str) -> list[str]:
    """The kernel's own words, without quotes.

    Those after ``--`` are init's.
    """
    words = split(line)
    return [word.replace('"', "") for word in words[: init_at(words)]]


def init_at(words: list[str]) -> int:
    """The place of ``--``, or the end (kernel/params.c, parse_args)."""
    return words.index("--") if "--" in words else len(words)


def joined(words: Iterable[str]) -> str:
    """What the kernel gets where GRUB's `linux` has ``words``."""
    return " ".join(map(_quoted, words))


def of_grub(line: str) -> list[str]:
    """The words of GRUB's `linux` that become ``line`` (`joined`)."""
    found = re.findall(r'"((?:\\.|[^"\\])*)"(?!\S)|((?:\\.|[^\s\\])+)', line)
    return [re.sub(r"\\(.)", r"\1", quoted or plain) for quoted, plain in found]


def _quoted(word: str) -> str:
    text = re.sub(r"([\"'\\])", r"\\\1", word)
    return f'"{text}"' if " " in word else text
