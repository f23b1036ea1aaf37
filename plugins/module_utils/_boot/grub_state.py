# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""GRUB's state while it reads grub.cfg: variables, menu, what is loaded.

A text that is None is not known: it depends on firmware, on a key, or on a file that cannot be read from here. A
variable that is not set has no key.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import NamedTuple, Optional

from .grub_script import Statement
from .unknown import UnknownBootError

Text = Optional[str]
Block = tuple[Statement, ...]

FEATURES = (
    "feature_chainloader_bpb", "feature_ntldr", "feature_platform_search_hint", "feature_default_font_path",
    "feature_all_video_module", "feature_menuentry_id", "feature_menuentry_options", "feature_200_final",
    "feature_nativedisk_cmd", "feature_timeout_style",
)  # fmt: skip
"""Variables that normal.mod sets to y (grub-core/normal/main.c of GRUB 2.06)."""


class Entry(NamedTuple):
    """An entry of a menu; its block runs when it is chosen.

    ``arguments``: title and what follows it, `$1` and so on of the block. ``restricted``: needs a superuser. Only the
    boot shows whether one that is not ``certain`` is in the menu: Debian 13 has one for settings of the firmware.
    """

    title: Text
    id: Text
    block: Block
    arguments: tuple[Text, ...]
    submenu: bool
    restricted: bool
    certain: bool = True


class Loaded(NamedTuple):
    """What an entry loads.

    The words after `linux` and `initrd`, and the root device at that time.
    """

    command: str
    words: tuple[Text, ...]
    root: Text
    initrd: tuple[Text, ...] = ()


@dataclass
class State:
    """Everything that a configuration changes.

    ``environment`` is the environment block as GRUB would leave it. ``unordered``: a wildcard has made entries, in the
    order of the folder on disk. ``asks``: a person was asked for a password or passphrase.
    """

    variables: dict[str, Text]
    environment: dict[str, Text]
    exported: set[str] = field(default_factory=lambda: {"root", "prefix", "chosen", "cmdpath", *FEATURES})
    functions: dict[str, Block] = field(default_factory=dict)
    menu: list[Entry] = field(default_factory=list)
    arguments: tuple[Text, ...] = ()
    loaded: Loaded | None = None
    unordered: bool = False
    asks: bool = False

    @classmethod
    def begin(cls, environment: dict[str, str], prefix: str, started_from: str = "") -> State:
        """GRUB before the first line: ``prefix`` is its folder, as `(device)/path`.

        ``started_from``: the folder of its program on the ESP, empty where it has none.
        """
        variables: dict[str, Text] = dict.fromkeys(FEATURES, "y")
        variables |= {"prefix": prefix, "config_directory": prefix}
        variables |= {"root": prefix[1:].partition(")")[0], "grub_platform": None, "grub_cpu": None}
        variables["cmdpath"] = f"(esp){started_from}" if started_from else None
        return cls(variables, dict(environment))

    def copy(self) -> State:
        return replace(
            self, variables=dict(self.variables), environment=dict(self.environment), exported=set(self.exported),
            functions=dict(self.functions), menu=list(self.menu),
        )  # fmt: skip

    def nested(self) -> State:
        """The state in which a submenu runs: exported variables alone.

        grub-core/kern/env.c, grub_env_context_open.
        """
        inner = self.copy()
        inner.variables = {name: value for name, value in self.variables.items() if name in self.exported}
        inner.menu = []
        return inner

    def merge(self, other: State, line: int) -> None:
        """Become what is known of both states.

        Entries that only one of them has added are not certain.
        """
        shorter, longer = sorted((self.menu, other.menu), key=len)
        if shorter != longer[: len(shorter)] or self.functions != other.functions:
            raise UnknownBootError(f"line {line}: the menu depends on what only the boot shows")
        self.menu = shorter + [entry._replace(certain=False) for entry in longer[len(shorter) :]]
        if self.loaded != other.loaded:
            raise UnknownBootError(f"line {line}: the kernel depends on what only the boot shows")
        self.variables = _common(self.variables, other.variables)
        self.environment = _common(self.environment, other.environment)
        self.exported |= other.exported
        self.unordered |= other.unordered
        self.asks |= other.asks


def _common(one: dict[str, Text], other: dict[str, Text]) -> dict[str, Text]:
    missing = object()
    names = {**one, **other}
    return {name: one[name] if one.get(name, missing) == other.get(name, missing) else None for name in names}
