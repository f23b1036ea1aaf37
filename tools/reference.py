# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Documentation that follows from tables of the code.

Of properties, kernel interfaces, and drivers with an eswitch: for modules, the role and guides.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.drivers import (
    DRIVERS,
    UNKNOWN,
    EswitchRule,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.kernel_interface import INTERFACES
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.property_row import (
    Address,
    Choice,
    Flag,
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

WIDTH = 120
TYPES: dict[type[Kind], str] = {Flag: "bool", Number: "int", Choice: "str", Address: "str", InterfaceName: "str"}
"""Of Python, and of argument specs."""


def option_type(kind: Kind) -> str:
    """The type of an option; a base is a text."""
    return "str" if isinstance(kind, Number) and kind.derived else TYPES[type(kind)]


def eswitch_rules() -> dict[EswitchRule, list[str]]:
    """Drivers by rule of their eswitch, as far as operators see it.

    Those that have no rule of their own come as one.
    """
    known = {name: facts.eswitch for name, facts in DRIVERS.items() if facts.eswitch != UNKNOWN.eswitch}
    found: dict[EswitchRule, list[str]] = {}
    for name, rule in [*known.items(), ("drivers without a rule here", UNKNOWN.eswitch)]:
        found.setdefault(EswitchRule(rule.vfs, "", rule.switchdev_after_enabling), []).append(name)
    return found


def _asked() -> str:
    """The rules of eswitches, in a sentence without its full stop."""
    parts = []
    for rule, names in eswitch_rules().items():
        late = "; it enters switchdev mode after VFs are enabled and have their MAC addresses"
        parts.append(f"{rule.vfs} ({', '.join(names)}{late if rule.switchdev_after_enabling else ''})")
    return f"While the mode changes there are {', '.join(parts[:-1])} or {parts[-1]}"


def eswitch_table() -> list[str]:
    """The rules of eswitches, in Markdown."""
    lines = ["| driver | VFs while the mode changes | to switchdev |", "|---|---|---|"]
    for rule, names in eswitch_rules().items():
        late = "after enabling VFs and giving them their MAC addresses" if rule.switchdev_after_enabling else "before"
        lines.append(f"| {', '.join(names)} | {rule.vfs} | {late} |")
    return lines


def interface_table() -> list[str]:
    """The kernel interfaces, in Markdown."""
    rows = [f"| `{one.name}` | {one.doc} |" for one in INTERFACES.values()]
    return ["| interface | what it is, and which VFs can be absent |", "|---|---|", *rows]


def interfaces(indent: int) -> list[str]:
    """The kernel interfaces as members of a description in YAML."""
    lines: list[str] = []
    for one in INTERFACES.values():
        lines += _member(f"C({one.name}), the interface {one.doc}.", "", indent)
    return lines


MORE = {
    "mac": (
        "For any number of VFs, an address followed by V(+id), such as V(02:00:00:00:10:00+id). The VF's id is added "
        "to the last three octets, with carries between them. Ids that do not fit there are an error, so that the "
        "first three octets always stay.",
        "For any number of VFs, V(hash) derives a locally administered address from the permanent MAC address of the "
        "PF and the VF's id. It is the same at each run, after a reboot, and for the same card in another slot. For "
        "all PFs of a selector it is the only form.",
    ),
    "vlan": ("For any number of VFs, a base followed by V(+id), such as V(100+id), to which the VF's id is added.",),
    "node_guid": (
        "Such as V(02:00:00:00:00:00:00:01). Followed by V(+id), it is for any number of VFs, as in O({vf}mac).",
    ),
    "msix_vectors": (
        "Needs a PF driver that shares vectors out among its VFs (mlx5_core from Linux 5.13, ice later).",
        "A VF is unbound while its number changes, and bound to the same driver again where O({vf}driver) names no "
        "other. A network interface of its own comes anew then.",
    ),
    "present VFs mtu": ("A VF without one is an error, such as a VF that is bound to C(vfio-pci).",),
    "name": (
        "For any number of VFs, a beginning followed by V(+id), such as V(web+id) for C(web0), C(web1) and so on.",
        "It comes after the name that udev gives a new interface. Before Linux 6.2 only interfaces that are down take "
        "another name. A VF without an interface is an error, as with O({vf}mtu).",
    ),
    "PF mtu": ("Some drivers restart the PF for it. It is set before VFs are enabled.",),
    "link": (
        "Where a driver needs the interface up to enable VFs (bnxt_en) or to set some of their properties (rates, of "
        "igb, ixgbe, be2net and bnxt_en), it is set up for that moment, declared or not. VFs in use need it up "
        "for longer, and somebody has to set it up, this setting or the host's network configuration.",
    ),
    "eswitch_mode": (
        f"Set as C(devlink dev eswitch) does. {_asked()}.",
        "Unbinding VFs that stay, or taking them away for a moment, is refused unless it is allowed with "
        "O({pf}allow_disruptive=true). Then they are bound again.",
    ),
}
"""Further paragraphs on a property in the modules' documentation."""


def documentation(rows: Iterable[Property], vf: str, pf: str, indent: int) -> list[str]:
    """Options as YAML, for modules.

    ``vf`` and ``pf`` stand before names of options that the text refers to.
    """
    lines: list[str] = []
    for row in rows:
        paragraphs = [row.doc, *(MORE.get(row.name) or MORE.get(f"{row.of} {row.name}", ()))]
        texts = [text.format(vf=vf, pf=pf) if "{" in text else text for text in paragraphs]
        lines.append(f"{row.name}:")
        lines += _description(texts, indent)
        lines.append(f"  type: {option_type(row.kind)}")
        if isinstance(row.kind, Choice):
            lines.append(f"  choices: [{', '.join(row.kind.choices)}]")
    return lines


def _description(texts: list[str], indent: int) -> list[str]:
    one = f"  description: {texts[0]}"
    if len(texts) == 1 and indent + len(one) <= WIDTH and ": " not in texts[0]:
        return [one]
    return ["  description:", *(line for text in texts for line in _member(text, "    ", indent))]


def _member(text: str, margin: str, indent: int) -> list[str]:
    """A member of a list in YAML, wrapped."""
    wrapped = textwrap.wrap(text, WIDTH - indent - len(margin) - 2, break_long_words=False, break_on_hyphens=False)
    return [f"{margin}- {wrapped[0]}", *(f"{margin}  {line}" for line in wrapped[1:])]


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
        return f"{kind.low} to {kind.high}{', `BASE+id`' if kind.derived else ''}"
    if isinstance(kind, Choice):
        return ", ".join(f"`{choice}`" for choice in kind.choices)
    if isinstance(kind, Address):
        return f"{kind.octets} octets, `ADDRESS+id`{', `hash`' if kind.hashed else ''}"
    if isinstance(kind, InterfaceName):
        return "an interface's name, `NAME+id`"
    return "true or false"
