# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write what follows from tables of the code.

That is fields, argument specs, documentation (tools/reference.py) and the JSON Schema
(tools/host_document_schema.py). A generated part of a file stands between the lines
``BEGIN GENERATED name`` and ``END GENERATED``. With ``--check`` nothing is written; a part that is stale is named and
the exit status is 1.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.property_row import (
    Address,
    Choice,
    Kind,
    Number,
    Property,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.property_table import (
    PF_SETTINGS,
    VF_DEVICE,
    VF_PROPERTIES,
)
from tools.host_document_schema import schema
from tools.reference import TYPES, documentation, eswitch_table, interface_table, interfaces, option_type, table

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = ROOT / "roles/sriov/files/host_document.schema.json"
REGION = re.compile(
    r"^(?P<indent> *)(?P<open><!-- |# )BEGIN GENERATED (?P<name>[a-z -]+?)(?P<close>:[^\n]*)\n(?P<body>.*?)"
    r"^ *(?:<!-- |# )END GENERATED",
    re.MULTILINE | re.DOTALL,
)


def fields(rows: Iterable[Property]) -> list[str]:
    return [
        f"{row.name}: {TYPES[type(row.kind)]} | {'str | ' if _derived(row.kind) else ''}None = None" for row in rows
    ]


def _derived(kind: Kind) -> bool:
    return isinstance(kind, Number) and kind.derived


def defaults() -> list[str]:
    """Names of addresses, and each driver's first values, for `VfProperties`."""
    names = {"00:00:00:00:00:00": "NO_MAC", "00:00:00:00:00:00:00:00": "NO_GUID"}
    values = [names.get(str(row.default)) or _python(row.default) for row in VF_PROPERTIES]
    mine = [row.name for row in VF_PROPERTIES if isinstance(row.kind, Address)]
    numbers = ", ".join(_python(row.name) for row in VF_PROPERTIES if _derived(row.kind))
    return [
        f"ADDRESSES = ({', '.join(map(_python, mine))})", f"NUMBERS = ({numbers},)",
        f"_DEFAULTS = ({', '.join(values)})",
    ]  # fmt: skip


def _python(value: object) -> str:
    return json.dumps(value) if isinstance(value, str) else repr(value)


def options(rows: Iterable[Property]) -> list[str]:
    """Members of a module's argument spec."""
    return [f"{_python(row.name)}: {{{_option(row.kind)}}}," for row in rows]


def _option(kind: Kind) -> str:
    choices = f', "choices": [{", ".join(map(_python, kind.choices))}]' if isinstance(kind, Choice) else ""
    return f'"type": "{option_type(kind)}"{choices}'


REGIONS: dict[str, Callable[[int], list[str]]] = {
    "vf property fields": lambda _indent: fields(VF_PROPERTIES),
    "vf property defaults": lambda _indent: defaults(),
    "vf device fields": lambda _indent: fields(VF_DEVICE),
    "pf settings fields": lambda _indent: fields(PF_SETTINGS),
    "vf options": lambda _indent: options((*VF_PROPERTIES, *VF_DEVICE)),
    "vf docs of sriov-pf": lambda indent: documentation((*VF_PROPERTIES, *VF_DEVICE), "pfs[].vfs[].", "", indent),
    "pf docs of sriov-pf": lambda indent: documentation(PF_SETTINGS, "", "pfs[].", indent),
    "vf docs of sriov-vf": lambda indent: documentation((*VF_PROPERTIES, *VF_DEVICE), "", "", indent),
    "properties": lambda _indent: table(),
    "kernel interfaces": interfaces,
    "table of kernel interfaces": lambda _indent: interface_table(),
    "table of eswitches": lambda _indent: eswitch_table(),
}
FILES = (
    "plugins/module_utils/_model/properties.py", "plugins/module_utils/_model/vf_device.py",
    "plugins/module_utils/_model/settings.py", "plugins/module_utils/_ansible/sriov_module.py",
    "plugins/modules/sriov_pf.py", "plugins/doc_fragments/_declared_pfs.py",
    "plugins/modules/sriov_vf.py", "plugins/modules/sriov_info.py",
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


def outputs(root: Path = ROOT) -> dict[Path, str]:
    """The text that each file should have, by path."""
    texts = {root / name: filled((root / name).read_text(encoding="utf-8")) for name in FILES}
    return {**texts, root / SCHEMA.relative_to(ROOT): json.dumps(schema(), indent=2) + "\n"}


def stale(root: Path = ROOT) -> list[Path]:
    """The files whose text is out of date."""
    return [path for path, text in outputs(root).items() if not path.exists() or path.read_text("utf-8") != text]


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Write what follows from tables of the code.")
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
