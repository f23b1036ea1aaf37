# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what follows from the property table.

That is fields, argument specs, documentation and the JSON Schema. A generated part of a file stands between the lines
``BEGIN GENERATED name`` and ``END GENERATED``. With ``--check`` nothing is written; a part that is stale is named and
the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import textwrap
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.property_row import (
    Address,
    Choice,
    Flag,
    Kind,
    Number,
    Property,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.property_table import (
    PF_SETTINGS,
    VF_DEVICE,
    VF_PROPERTIES,
)

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "roles/sriov/files/host_document.schema.json"
REGION = re.compile(
    r"^(?P<indent> *)(?P<open><!-- |# )BEGIN GENERATED (?P<name>[a-z -]+?)(?P<close>:[^\n]*)\n(?P<body>.*?)"
    r"^ *(?:<!-- |# )END GENERATED",
    re.MULTILINE | re.DOTALL,
)
WIDTH = 120
TYPES: dict[type[Kind], str] = {Flag: "bool", Number: "int", Choice: "str", Address: "str"}
"""Of Python, and of argument specs."""

MORE = {
    "mac": (
        "For any number of VFs, an address followed by V(+id), such as V(02:00:00:00:10:00+id). The VF's id is added "
        "to the last three octets, with carries between them. Ids that do not fit there are an error, so that the "
        "first three octets always stay.",
        "For any number of VFs, V(hash) derives a locally administered address from the permanent MAC address of the "
        "PF and the VF's id. It is the same at each run, after a reboot, and for the same card in another slot. For "
        "all PFs of a selector it is the only form.",
    ),
    "node_guid": (
        "Such as V(02:00:00:00:00:00:00:01). Followed by V(+id), it is for any number of VFs, as in O({vf}mac).",
    ),
    "msix_vectors": (
        "Needs a PF driver that shares vectors out among its VFs (mlx5_core from Linux 5.13, ice later).",
        "A VF is unbound while its number changes, and bound to the same driver again where O({vf}driver) names no "
        "other. A network interface of its own comes anew then.",
    ),
    "present VFs mtu": ("A VF without one is an error, such as a VF that is bound to C(vfio-pci).",),
    "PF mtu": ("Some drivers restart the PF for it. It is set before VFs are enabled.",),
    "eswitch_mode": (
        "Set as C(devlink dev eswitch) does. Drivers differ in what they ask for. mlx5_core gets its VFs in legacy "
        "mode first, and they are unbound while the mode changes. ice, and drivers that this collection does not know, "
        "change it only while no VFs are enabled. bnxt_en, nfp and liquidio change it at any time.",
        "Unbinding VFs that stay, or taking them away for a moment, is refused unless it is allowed with "
        "O({pf}allow_disruptive=true). Then they are bound again.",
    ),
}
"""Further paragraphs on a property in the modules' documentation."""


def fields(rows: Iterable[Property]) -> list[str]:
    return [f"{row.name}: {TYPES[type(row.kind)]} | None = None" for row in rows]


def defaults() -> list[str]:
    """Names of addresses, and each driver's first values, for `VfProperties`."""
    names = {"00:00:00:00:00:00": "NO_MAC", "00:00:00:00:00:00:00:00": "NO_GUID"}
    values = [names.get(str(row.default)) or _python(row.default) for row in VF_PROPERTIES]
    mine = [row.name for row in VF_PROPERTIES if isinstance(row.kind, Address)]
    return [f"ADDRESSES = ({', '.join(map(_python, mine))})", f"_DEFAULTS = ({', '.join(values)})"]


def _python(value: object) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def options(rows: Iterable[Property]) -> list[str]:
    """Members of a module's argument spec."""
    return [f"{_python(row.name)}: {{{_option(row.kind)}}}," for row in rows]


def _option(kind: Kind) -> str:
    choices = f', "choices": [{", ".join(map(_python, kind.choices))}]' if isinstance(kind, Choice) else ""
    return f'"type": "{TYPES[type(kind)]}"{choices}'


def documentation(rows: Iterable[Property], vf: str, pf: str, indent: int, *, full: bool = True) -> list[str]:
    """Options as YAML, for modules and the role.

    ``vf`` and ``pf`` stand before names of options that the text refers to.
    """
    lines: list[str] = []
    for row in rows:
        paragraphs = [row.doc, *(MORE.get(row.name) or MORE.get(f"{row.of} {row.name}", ()) if full else ())]
        texts = [text.format(vf=vf, pf=pf) if "{" in text else text for text in paragraphs]
        lines.append(f"{row.name}:")
        lines += _description(texts, indent)
        lines.append(f"  type: {TYPES[type(row.kind)]}")
        if isinstance(row.kind, Choice):
            lines.append(f"  choices: [{', '.join(row.kind.choices)}]")
    return lines


def _description(texts: list[str], indent: int) -> list[str]:
    one = f"  description: {texts[0]}"
    if len(texts) == 1 and indent + len(one) <= WIDTH and ": " not in texts[0]:
        return [one]
    lines = ["  description:"]
    for text in texts:
        wrapped = textwrap.wrap(text, WIDTH - indent - 6, break_long_words=False, break_on_hyphens=False)
        lines += [f"    - {wrapped[0]}", *(f"      {line}" for line in wrapped[1:])]
    return lines


def table() -> list[str]:
    """The reference of properties, in Markdown."""
    rows = [("key", "of", "values", "what it is")]
    for row in (*VF_PROPERTIES, *VF_DEVICE, *PF_SETTINGS):
        text = re.sub(r"[OVC]\(([^)]*)\)", r"`\1`", row.doc.replace("{vf}", ""))
        rows.append((f"`{row.name}`", row.of, _values(row.kind), text))
    head, *body = [f"| {' | '.join(cells)} |" for cells in rows]
    return [head, "|---" * 4 + "|", *body]


def _values(kind: Kind) -> str:
    if isinstance(kind, Number):
        return f"{kind.low} to {kind.high}"
    if isinstance(kind, Choice):
        return ", ".join(f"`{choice}`" for choice in kind.choices)
    if isinstance(kind, Address):
        return f"{kind.octets} octets, `ADDRESS+id`{', `hash`' if kind.hashed else ''}"
    return "true or false"


REGIONS: dict[str, Callable[[int], list[str]]] = {
    "vf property fields": lambda _indent: fields(VF_PROPERTIES),
    "vf property defaults": lambda _indent: defaults(),
    "vf device fields": lambda _indent: fields(VF_DEVICE),
    "pf settings fields": lambda _indent: fields(PF_SETTINGS),
    "vf options": lambda _indent: options((*VF_PROPERTIES, *VF_DEVICE)),
    "pf options": lambda _indent: options(PF_SETTINGS),
    "vf docs of sriov-pf": lambda indent: documentation((*VF_PROPERTIES, *VF_DEVICE), "pfs[].vfs[].", "", indent),
    "pf docs of sriov-pf": lambda indent: documentation(PF_SETTINGS, "", "pfs[].", indent),
    "vf docs of sriov-vf": lambda indent: documentation((*VF_PROPERTIES, *VF_DEVICE), "", "", indent),
    "vf specs of the role": lambda indent: documentation(
        (*VF_PROPERTIES, *VF_DEVICE), "sriov_pfs[].vfs[].", "", indent, full=False
    ),
    "pf specs of the role": lambda indent: documentation(PF_SETTINGS, "", "sriov_pfs[].", indent, full=False),
    "properties": lambda _indent: table(),
}
FILES = (
    "plugins/module_utils/_model/properties.py", "plugins/module_utils/_model/vf_device.py",
    "plugins/module_utils/_model/settings.py", "plugins/module_utils/_ansible/sriov_module.py",
    "plugins/modules/sriov_pf.py", "plugins/modules/sriov_vf.py", "roles/sriov/meta/argument_specs.yml",
    "docs/declaring_vfs.md",
)  # fmt: skip


def filled(text: str) -> str:
    """``text`` with its generated parts brought up to date.

    Raises `KeyError` for a part of an unknown name.
    """

    def part(found: re.Match[str]) -> str:
        indent = found["indent"]
        margin = "" if found["open"] == "<!-- " else indent
        lines = REGIONS[found["name"]](len(indent))
        body = "".join(f"{margin}{line}".rstrip() + "\n" for line in lines)
        head = f"{indent}{found['open']}BEGIN GENERATED {found['name']}{found['close'] or ''}\n"
        return f"{head}{body}{indent}{found['open']}END GENERATED"

    return REGION.sub(part, text)


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
    selector = {
        "type": "object",
        "properties": {
            **dict.fromkeys(("vendor", "device", "subsystem_vendor", "subsystem_device", "class"), text),
            **dict.fromkeys(("driver", "netdev"), text),
            "numa_node": number, "index": number, "all": {"type": "boolean"},
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
                "anyOf": [{"type": "integer", "minimum": 0}, {"type": "string", "pattern": "^([0-9]+|max)$"}],
            },
            "present_vfs": {**ids, "description": "VFs that exist as PCI devices: ids, all or none."},
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
        return {"type": "integer", "minimum": kind.low, "maximum": kind.high}
    if isinstance(kind, Choice):
        return {"type": "string", "enum": list(kind.choices)}
    if isinstance(kind, Address):
        first = "[0-9a-fA-F][02468aceACE]" if kind.octets == 6 else "[0-9a-fA-F]{2}"
        base = rf"(?![0:]*\+){first}(:[0-9a-fA-F]{{2}}){{{kind.octets - 1}}}(\+[iI][dD])?"
        more = "|[hH][aA][sS][hH]" if kind.hashed else ""
        return {"type": "string", "pattern": rf"^\s*({base}{more})\s*$"}
    return {"type": "boolean"}


def outputs(root: Path = ROOT) -> dict[Path, str]:
    """The text that each file should have, by path."""
    texts = {root / name: filled((root / name).read_text(encoding="utf-8")) for name in FILES}
    return {**texts, root / SCHEMA.relative_to(ROOT): json.dumps(schema(), indent=2) + "\n"}


def stale(root: Path = ROOT) -> list[Path]:
    """The files whose text is out of date."""
    return [path for path, text in outputs(root).items() if not path.exists() or path.read_text("utf-8") != text]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write what follows from the property table.")
    parser.add_argument("--check", action="store_true", help="only say what is stale")
    given = parser.parse_args(arguments)
    old = stale()
    for path in old:
        print(f"generated: {path.relative_to(ROOT)} is stale; run `make generate`" if given.check else f"wrote {path}")
        if not given.check:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(outputs()[path], encoding="utf-8")
    if given.check:
        print(f"generated: {len(FILES) + 1 - len(old)} passed, {len(old)} failed")
    return int(bool(old) and given.check)


if __name__ == "__main__":
    sys.exit(main())
