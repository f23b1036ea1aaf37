# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The JSON Schema of the host document, from the property table."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.property_row import (
    Address,
    Choice,
    InterfaceName,
    Kind,
    Number,
    Property,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.property_table import (
    PF_SETTINGS,
    VF_DEVICE,
    VF_PROPERTIES,
)


def schema() -> dict[str, Any]:
    """The host document as JSON Schema (draft 2020-12), for editors.

    `sriovctl` checks more than the schema can say.
    """
    ids = {
        "description": "VF ids: a list such as 0-99,200, or all.",
        "anyOf": [
            {"type": "string"}, {"type": "integer", "minimum": 0},
            {"type": "array", "items": {"type": ["integer", "string"]}},
        ],
    }  # fmt: skip
    text = {"type": "string", "minLength": 1}
    number = {"type": ["integer", "string"]}
    facts = {
        **dict.fromkeys(("vendor", "device", "subsystem_vendor", "subsystem_device", "class"), text),
        **dict.fromkeys(("driver", "netdev"), text), "numa_node": number, "mac": {"type": "string"},
    }  # fmt: skip
    some = {"type": "object", "properties": facts, "additionalProperties": False, "minProperties": 1}
    selector = {
        "type": "object",
        "properties": {
            **facts, "not": {"anyOf": [some, {"type": "array", "items": some}]},
            "index": number, "all": {"type": "boolean"},
        },
        "additionalProperties": False,
        "minProperties": 1,
    }  # fmt: skip
    vf = {
        "type": "object",
        "properties": {"ids": ids, "driver": text, **_described((*VF_PROPERTIES, *VF_DEVICE))},
        "required": ["ids"],
        "additionalProperties": False,
    }
    pf = {
        "type": "object",
        "properties": {
            "pf": {"description": "PCI address, network interface, or selector.", "anyOf": [text, selector]},
            "hardware_vfs": {
                "description": "VFs enabled in hardware.",
                "anyOf": [
                    {"type": "integer", "minimum": 0},
                    {"type": "string", "pattern": "^([0-9]+|max)$"},
                    {
                        "type": "object",
                        "properties": {"at_most": {"type": "integer", "minimum": 0}},
                        "required": ["at_most"],
                        "additionalProperties": False,
                    },
                ],
            },
            "present_vfs": {**ids, "description": "VFs that exist as PCI devices: ids, all, none or unmanaged."},
            "drivers_autoprobe": {"type": "boolean"},
            **_described(PF_SETTINGS),
            "vfs": {"type": "array", "items": vf},
            "allow_disruptive": {"type": "boolean"},
        },
        "required": ["pf"],
        "additionalProperties": False,
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Host document of kvmfleet.sriov",
        "type": "object",
        "properties": {"schema": {"const": 1}, "pfs": {"type": "array", "items": pf}},
        "required": ["pfs"],
        "additionalProperties": False,
    }


def _described(rows: Iterable[Property]) -> dict[str, Any]:
    plain = {row.name: re.sub(r"[OVC]\(([^)]*)\)", r"\1", row.doc.replace("{vf}", "")) for row in rows}
    return {row.name: {"description": plain[row.name], **_json(row.kind)} for row in rows}


def _json(kind: Kind) -> dict[str, Any]:
    """The JSON Schema of a kind of value."""
    if isinstance(kind, Number):
        plain = {"type": "integer", "minimum": kind.low, "maximum": kind.high}
        return {"anyOf": [plain, {"type": "string", "pattern": r"^\s*[0-9]+\+[iI][dD]\s*$"}]} if kind.derived else plain
    if isinstance(kind, Choice):
        return {"type": "string", "enum": list(kind.choices)}
    if isinstance(kind, Address):
        first = "[0-9a-fA-F][02468aceACE]" if kind.octets == 6 else "[0-9a-fA-F]{2}"
        base = rf"(?![0:]*\+){first}(:[0-9a-fA-F]{{2}}){{{kind.octets - 1}}}(\+[iI][dD])?"
        more = "|[hH][aA][sS][hH]" if kind.hashed else ""
        return {"type": "string", "pattern": rf"^\s*({base}{more})\s*$"}
    if isinstance(kind, InterfaceName):
        return {"type": "string", "pattern": r"^\s*[^\s/:%]+\s*$"}
    return {"type": "boolean"}
