# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The examples of the guides, run.

Documents are applied to fake hosts, and conversions give what stands below them.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._engine.converge import converge
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan import without_host
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert.from_netplan import from_netplan
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert.from_nmstate import from_nmstate
from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._convert.from_sriov_policies import from_sriov_policies
from tests.fake.linux.host import FakeHost
from tests.fake.linux.pf import FakePf

DOCS = Path(__file__).resolve().parents[3] / "docs"
NAMES = ("../README", "declaring_vfs", "declaring_vfs_examples", "moving_to_host_documents")


def sections(name: str) -> dict[str, list[str]]:
    """Fenced blocks, with their language in the first line, by heading."""
    parts = re.split(r"^#+ (.+)$", (DOCS / f"{name}.md").read_text(), flags=re.MULTILINE)
    blocks = [re.findall(r"^```(\w*\n.*?)^```", text, re.MULTILINE | re.DOTALL) for text in parts[2::2]]
    return dict(zip(parts[1::2], blocks, strict=True))


def document_in(block: str) -> list[Any] | None:
    """``sriov_pfs`` of a block of YAML, with its other variables filled in."""
    language, _newline, text = block.partition("\n")
    variables = yaml.safe_load(text) if language == "yaml" else {}
    if "sriov_pfs" not in variables:
        return None
    for name, value in variables.items():
        text = text.replace(f'"{{{{ {name} }}}}"', yaml.safe_dump(value, default_flow_style=True, width=1000).strip())
    return list(yaml.safe_load(text)["sriov_pfs"])


SHOWN = [
    pytest.param(pfs, id=f"{name}: {heading}")
    for name in NAMES
    for heading, blocks in sections(name).items()
    for block in blocks
    if (pfs := document_in(block)) is not None
]


def host_for(folder: Path, interface: str, pfs: list[Any]) -> FakeHost:
    """A host with these PFs, of kinds that support what is declared."""
    host = FakeHost(folder, interface)
    for index, pf in enumerate(pfs):
        keys = set(pf).union(*pf.get("vfs", ()))
        named = ":" in pf["pf"]
        address = pf["pf"] if named else f"0000:{0x10 * index + 3:02x}:00.0"
        if "node_guid" in keys:
            host.ipoib(address, 64).netdev = pf["pf"]
        elif "eswitch_mode" in keys:
            host.mlx5(address, 64, netdev=pf["pf"])
        else:
            plain = named and keys <= {"pf", "hardware_vfs", "present_vfs", "drivers_autoprobe", "vfs", "ids", "driver"}
            host.add(FakePf(address, total=64, netdev=None if plain else f"eth{index}" if named else pf["pf"]))
    host.draw()
    return host


@pytest.mark.parametrize("interface", ["vf-id", "vf-id-narrow", "stock"])
@pytest.mark.parametrize("pfs", SHOWN)
def test_documents_that_are_shown_can_be_applied(tmp_path: Path, interface: str, pfs: list[Any]) -> None:
    host = host_for(tmp_path, interface, pfs)
    document = validate({"pfs": pfs})
    without_host.refuse(document)
    assert converge(host.sysfs, host.run, document).plan.changed
    assert not converge(host.sysfs, host.run, document).plan.changed


def test_there_are_enough() -> None:
    assert len(SHOWN) >= 8


MOVES: list[tuple[str, Callable[[object], dict[str, Any]]]] = [
    ("From netplan", from_netplan),
    ("From nmstate", from_nmstate),
    ("From the sriov-network-operator", from_sriov_policies),
]


@pytest.mark.parametrize(("heading", "convert"), MOVES)
def test_conversions_that_are_shown(heading: str, convert: Callable[[object], dict[str, Any]]) -> None:
    source, result, notices = sections("moving_to_host_documents")[heading]
    found = convert(yaml.safe_load(source.partition("\n")[2]))
    assert found["document"]["pfs"] == document_in(result)
    assert found["notices"] == notices.split("\n")[1:-1]


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", path.read_text()):
        assert (DOCS / target).exists(), target
