# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Host documents as YAML for an inventory.

Names in them come from hosts and other systems, and Ansible evaluates what it finds between braces in a file of
variables, on the controller. So texts are quoted, and those with a brace have the tag ``!unsafe``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping

from .document import HostDocument

_TAG = "!unsafe "
"""Tag of texts that Ansible does not evaluate.

Its guide "Advanced playbook syntax".
"""
_SHORT = 0xFFFF
"""The highest character with a short escape.

JSON writes the others as two, which YAML does not take for one.
"""


def pfs_lines(document: HostDocument) -> list[str]:
    """The document as ``sriov_pfs`` of the role `sriov`."""
    lines = ["sriov_pfs:"] if document.pfs else ["sriov_pfs: []"]
    for pf in document.to_dict()["pfs"]:
        vfs = pf.pop("vfs", [])
        pairs = [f"{key}: {value(one)}" for key, one in pf.items()]
        lines += [f"  {'-' if index == 0 else ' '} {pair}" for index, pair in enumerate(pairs)]
        lines += ["    vfs:"] if vfs else []
        lines += [f"      - {value(vf)}" for vf in vfs]
    return lines


def comments(texts: Iterable[str]) -> list[str]:
    """A comment of one line for each text, in quotes."""
    return [f"# - {quoted(text)}" for text in texts]


def value(data: object) -> str:
    """A value in one line."""
    if isinstance(data, Mapping):
        return f"{{{', '.join(f'{key}: {value(one)}' for key, one in data.items())}}}"
    if isinstance(data, str):
        return (_TAG if "{" in data else "") + quoted(data)
    return json.dumps(data)


def quoted(text: str) -> str:
    """A text in quotes of YAML, printable ASCII without line breaks."""
    plain = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + re.sub(r"[^\x20-\x7e]", _escaped, plain) + '"'


def _escaped(match: re.Match[str]) -> str:
    number = ord(match.group())
    return f"\\u{number:04x}" if number <= _SHORT else f"\\U{number:08x}"
