# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options of kernel configurations, and their definitions in Kconfig files."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import condition

LINE = re.compile(r"^(?:# CONFIG_(?P<unset>\w+) is not set|CONFIG_(?P<name>\w+)=(?P<value>.*?))\s*$", re.MULTILINE)
UNSET = "n"
COMPLETE = "# Automatically generated file; DO NOT EDIT."
"""Line of a configuration that kconfig wrote, so one of all options."""
HEAD = re.compile(r"^\s*(?:menu)?config\s+(\w+)\s*(?:#.*)?$")
PROMPT = re.compile(r"^\s*(?:(?:bool|tristate|int|hex|string)\s+[\"']|prompt\b)")
NEEDS = re.compile(r"^\s*depends on\s+(.+)$")
SELECT = re.compile(r"^\s*select\s+(\w+)")
IF, MENU = re.compile(r"^\s*if\s+(.+)$"), re.compile(r"^\s*(?:menu|choice)\b")
END = re.compile(r"^\s*end(?:if|menu|choice)\b")


def options(text: str) -> dict[str, str]:
    """Options and their values, ``n`` for one that is not set.

    Names are without ``CONFIG_``.
    Of two lines about one option the last counts.
    """
    return {one["unset"] or one["name"]: UNSET if one["unset"] else one["value"] for one in LINE.finditer(text)}


@dataclass
class Definition:
    """Definitions of one option, of all its places.

    ``needs``: conditions, in Kconfig's words; ``selectors``: options that select it; ``prompt``: whether it can be
    chosen.
    """

    prompt: bool = False
    needs: list[str] = field(default_factory=list)
    selectors: list[str] = field(default_factory=list)


def definitions(tree: Path, arch: str, names: Collection[str]) -> dict[str, Definition]:
    """Definitions of these options in a source's Kconfig files.

    Options that it does not have are missing.
    ``arch``: folder below ``arch/``; those of other architectures are left out. Conditions around a ``source`` line of
    another file are not seen.
    """
    found: dict[str, Definition] = {}
    reader = _Reader(names, found)
    for path in _files(tree, arch) if names else ():
        reader.read(path.read_text(encoding="utf-8", errors="replace"))
    return found


def _files(tree: Path, arch: str) -> Iterator[Path]:
    for folder, folders, files in os.walk(tree):
        if Path(folder) == tree / "arch":
            folders[:] = [name for name in folders if name == arch]
        yield from (Path(folder, name) for name in files if name.startswith("Kconfig"))


class _Reader:
    """A reader of Kconfig files: what they say of some options.

    ``around``: conditions of the blocks around a line, innermost last.
    """

    def __init__(self, names: Collection[str], found: dict[str, Definition]) -> None:
        self.names = names
        self.found = found
        self.around: list[str] = []
        self.name = ""
        self.menu = False

    def read(self, text: str) -> None:
        self.around, self.name, self.menu = [], "", False
        for line in _lines(text):
            if not self._block(line):
                self._attribute(line)

    def _block(self, line: str) -> bool:
        """Whether a line begins or ends a block; its effect."""
        head, test = HEAD.match(line), IF.match(line)
        if head:
            self.name, self.menu = head.group(1), False
            if self.name in self.names:
                self._of(self.name).needs.extend(one for one in self.around if one)
        elif test or MENU.match(line):
            self.around.append(test.group(1).strip() if test else "")
            self.name, self.menu = "", test is None
        elif END.match(line):
            self.name, self.menu = "", False
            del self.around[-1:]
        else:
            return False
        return True

    def _attribute(self, line: str) -> None:
        needs, select = NEEDS.match(line), SELECT.match(line)
        if needs and self.menu:
            self.around[-1] = " && ".join(f"({one})" for one in (self.around[-1], needs.group(1).strip()) if one)
        elif needs and self.name in self.names:
            self._of(self.name).needs.append(needs.group(1).strip())
        elif self.name in self.names and PROMPT.match(line):
            self._of(self.name).prompt = True
        elif select and self.name and select.group(1) in self.names:
            self._of(select.group(1)).selectors.append(self.name)

    def _of(self, name: str) -> Definition:
        return self.found.setdefault(name, Definition())


def _lines(text: str) -> Iterator[str]:
    """Lines without comments and help texts, continued ones joined."""
    deep = -1
    for line in text.replace("\\\n", " ").splitlines():
        depth = len(line.expandtabs()) - len(line.expandtabs().lstrip())
        if deep >= 0 and (not line.strip() or depth > deep):
            continue
        deep = depth if line.strip() in ("help", "---help---") else -1
        if deep < 0 and line[:1] != "#":
            yield line.split(" #", 1)[0].rstrip()


def reason(name: str, wanted: str, values: Mapping[str, str], definition: Definition | None) -> str:
    """The likely reason why an option is not as wanted.

    ``values``: of the finished configuration.
    """
    if definition is None:
        return "this source has no such option"
    value = values.get(name, UNSET)
    setters = [one for one in definition.selectors if values.get(one, UNSET) != UNSET]
    if setters and (wanted == UNSET or (wanted, value) == ("m", "y")):
        return f"selected by {', '.join(sorted(setters)[:5])}"
    if not definition.prompt:
        return "it cannot be chosen, only other options set it"
    short = [one for one in definition.needs if not condition.holds(one, values)]
    if value == UNSET and short:
        lacking = list(dict.fromkeys(word for one in short for word in condition.lacking(one, values)))
        hint = "; apt install pahole" if any(one.startswith("PAHOLE_") for one in lacking) else ""
        words = (f"({one})" if "||" in one else one for one in dict.fromkeys(short))
        return f"depends on {' && '.join(words)}: {', '.join(lacking)}{hint}"
    return "its dependencies, its choice or its range do not allow it"
