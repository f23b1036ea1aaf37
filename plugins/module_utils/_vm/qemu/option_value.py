# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The value of a QEMU option, changed key by key. Pure.

Both forms: ``a,b=c`` with ``,,`` for a comma (util/keyval.c), and JSON, whose types stay.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

PART = re.compile(r"((?:[^,]|,,)*)(?:,|$)", re.DOTALL)


@dataclass(frozen=True)
class OptionValue:
    """Keys of an option in their order; texts, of JSON any type."""

    items: Mapping[str, Any]
    is_json: bool = False

    @classmethod
    def parse(cls, text: str, first: str = "") -> OptionValue:
        """Parse a value; ``first`` names a bare first part.

        What is no JSON object though it begins like one has no keys: QEMU would refuse it.
        """
        if text.startswith("{"):
            try:
                found = json.loads(text)
            except (ValueError, RecursionError):
                found = {}
            return cls(found if isinstance(found, dict) else {}, is_json=True)
        pairs: dict[str, str] = {}
        for number, part in enumerate(parts(text)):
            key, equals, value = part.replace(",,", ",").partition("=")
            if not equals:
                key, value = (first, key) if number == 0 and first else (key, "on")
            pairs[key] = value
        return cls(pairs)

    def __str__(self) -> str:
        if self.is_json:
            return json.dumps(self.items)
        return ",".join(f"{key}={value}".replace(",", ",,") for key, value in self.items.items())

    def get(self, key: str) -> str:
        """A key's text, empty without it or for another type."""
        value = self.items.get(key)
        return value if isinstance(value, str) else ""

    def on(self, key: str) -> bool:
        """Whether a switch is on."""
        return self.items.get(key) in ("on", "yes", "true", "y", True)

    def only(self, wanted: Callable[[str], bool]) -> OptionValue:
        """This value with the keys that are ``wanted``, and no others."""
        return OptionValue({key: value for key, value in self.items.items() if wanted(key)}, self.is_json)

    def with_(self, **changes: object) -> OptionValue:
        """This value with other keys; ``read_only`` is ``read-only``.

        A switch is given as a bool, and written in the form of this value.
        """
        texts = {True: "on", False: "off"}
        new = {
            key.replace("_", "-"): texts[value] if isinstance(value, bool) and not self.is_json else value
            for key, value in changes.items()
        }
        return OptionValue({**self.items, **new}, self.is_json)


def parts(text: str) -> list[str]:
    """Parts of a text between single commas; commas in them stay double."""
    return [match[1] for match in PART.finditer(text) if match[0]]
