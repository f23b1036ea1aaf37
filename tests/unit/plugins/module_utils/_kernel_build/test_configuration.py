# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Options that a finished configuration has not kept, with reasons."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build import condition, kconfig
from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build.configuration import (
    Complete,
    Configuration,
    finish,
)
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError

KCONFIG = """\
config PCI
\tbool "PCI support"

config CC_VERSION_TEXT
\tstring
\tdefault "$(CC_VERSION_TEXT)"

config PAHOLE_VERSION
\tint

if NETDEVICES
menu "Mellanox"
\tdepends on PCI

config MLX5_ESWITCH
\tbool "E-Switch support"
\tdepends on MLX5_CORE_EN && NET_SWITCHDEV
\tdefault y
\thelp
\t  Text, of which a line is
\t  depends on WORDS
\t  config PCI

endmenu
endif # NETDEVICES

config DEBUG_INFO_BTF
\tbool "Generate BTF type information"
\tdepends on !DEBUG_INFO_SPLIT && \\
\t\tPAHOLE_VERSION >= 116

config NET_SWITCHDEV
\tbool "Switchdev"

config NUMA
\tbool "NUMA"

config CHOOSES
\tbool "It selects"
\tselect NUMA if PCI
"""
BASE = "CONFIG_PCI=y\nCONFIG_NETDEVICES=y\nCONFIG_MLX5_CORE_EN=y\nCONFIG_PAHOLE_VERSION=0\n"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "Kconfig").write_text(KCONFIG)
    for arch in ("x86", "arm64"):
        (tmp_path / "arch" / arch).mkdir(parents=True)
        (tmp_path / "arch" / arch / "Kconfig").write_text(f'config ONLY_{arch.upper()}\n\tbool "x"\n')
    return tmp_path


def kept(*gone: str, **made: str) -> Complete:
    """olddefconfig that drops options, and sets others."""

    def complete(text: str) -> str:
        values = {name: value for name, value in kconfig.options(text).items() if name not in gone}
        return "".join(f"CONFIG_{name}={value}\n" for name, value in {**values, **made}.items() if value != "n")

    return complete


def outcome(tree: Path, configs: list[Configuration], complete: Complete) -> list[str]:
    """Lines of the error, or notes."""
    try:
        return finish(configs, complete, tree, "x86")
    except BadInputError as error:
        return [line.strip() for line in str(error).splitlines()[1:-1]]


LOST = {
    "dependency": (
        "CONFIG_MLX5_ESWITCH=y", ("MLX5_ESWITCH",), {},
        "CONFIG_MLX5_ESWITCH=y (of f) became '# CONFIG_MLX5_ESWITCH is not set': depends on MLX5_CORE_EN &&"
        " NET_SWITCHDEV: NET_SWITCHDEV is not set",
    ),
    "program": (
        "CONFIG_DEBUG_INFO_BTF=y", ("DEBUG_INFO_BTF",), {},
        "CONFIG_DEBUG_INFO_BTF=y (of f) became '# CONFIG_DEBUG_INFO_BTF is not set': depends on !DEBUG_INFO_SPLIT &&"
        "   PAHOLE_VERSION >= 116: PAHOLE_VERSION=0; apt install pahole",
    ),
    "selected": (
        "# CONFIG_NUMA is not set\nCONFIG_CHOOSES=y", (), {"NUMA": "y"},
        "'# CONFIG_NUMA is not set' (of f) became CONFIG_NUMA=y: selected by CHOOSES",
    ),
    "unknown": ("CONFIG_NONE=m", ("NONE",), {}, "CONFIG_NONE=m (of f) became '# CONFIG_NONE is not set': this source"),
    "of another architecture": ("CONFIG_ONLY_ARM64=y", ("ONLY_ARM64",), {}, "this source has no such option"),
    "no prompt": ('CONFIG_CC_VERSION_TEXT="a"', (), {"CC_VERSION_TEXT": '"b"'}, "only other options set it"),
    "value": ("CONFIG_PCI=m", (), {"PCI": "y"}, "CONFIG_PCI=m (of f) became CONFIG_PCI=y: its dependencies"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "gone", "made", "line"), LOST.values(), ids=LOST.keys())
def test_each_line_of_a_fragment_must_hold(
    tree: Path, text: str, gone: tuple[str, ...], made: dict[str, str], line: str
) -> None:
    configs = [Configuration("base", BASE), Configuration("f", text)]
    (found,) = outcome(tree, configs, kept(*gone, **made))
    assert " ".join(line.split()) in " ".join(found.split())


def test_all_are_named_at_once(tree: Path) -> None:
    configs = [Configuration("f", BASE + "CONFIG_MLX5_ESWITCH=y\nCONFIG_NONE=y\nCONFIG_NUMA=y\n")]
    lines = outcome(tree, configs, kept("MLX5_ESWITCH", "NONE"))
    assert [line.split("=")[0] for line in lines] == ["CONFIG_MLX5_ESWITCH", "CONFIG_NONE"]


def test_of_two_lines_the_last_counts(tree: Path) -> None:
    configs = [Configuration("f", "CONFIG_NUMA=y"), Configuration("g", "# CONFIG_NUMA is not set\n")]
    assert outcome(tree, configs, kept()) == []


def test_a_whole_configuration_must_hold_where_it_can_be_chosen(tree: Path) -> None:
    text = BASE + 'CONFIG_DEBUG_INFO_BTF=y\nCONFIG_CC_VERSION_TEXT="other"\nCONFIG_GONE=y\n# CONFIG_NUMA is not set\n'
    configs = [Configuration("running", text, whole=True)]
    (line,) = outcome(tree, configs, kept("DEBUG_INFO_BTF", "GONE", CC_VERSION_TEXT='"mine"', NUMA="y"))
    assert line.startswith("CONFIG_DEBUG_INFO_BTF=y (of running) became")
    notes = outcome(tree, configs, kept("GONE", CC_VERSION_TEXT='"mine"', NUMA="y"))
    assert notes == ["this source does not have 1 options of a whole configuration: GONE"]


def test_what_a_fragment_takes_away_is_a_note(tree: Path) -> None:
    def complete(text: str) -> str:
        values = kconfig.options(text)
        lost = ("MLX5_ESWITCH",) if values.get("NET_SWITCHDEV") == "n" else ()
        return kept(*lost)(text)

    whole = Configuration("running", BASE + "CONFIG_NET_SWITCHDEV=y\nCONFIG_MLX5_ESWITCH=y\n", whole=True)
    fragment = Configuration("f", "# CONFIG_NET_SWITCHDEV is not set\n")
    notes = outcome(tree, [whole, fragment], complete)
    assert notes == ["fragments take away 1 options of a whole configuration: MLX5_ESWITCH"]
    strict = Configuration("g", "CONFIG_MLX5_ESWITCH=y\n")
    (line,) = outcome(tree, [whole, fragment, strict], complete)
    assert "(of g)" in line


def test_a_line_of_a_fragment_accepts_what_was_lost(tree: Path) -> None:
    whole = Configuration("running", BASE + "CONFIG_DEBUG_INFO_BTF=y\n", whole=True)
    assert outcome(tree, [whole], kept("DEBUG_INFO_BTF"))
    fragment = Configuration("f", "# CONFIG_DEBUG_INFO_BTF is not set\n")
    assert outcome(tree, [whole, fragment], kept("DEBUG_INFO_BTF")) == []


@pytest.mark.parametrize(
    ("words", "met"),
    [
        ("A", True), ("B", False), ("!B", True), ("A && B", False), ("A || B", True), ("(A || B) && !A", False),
        ("C >= 116", False), ("C < 116", True), ("A=y", True), ("A != y", False), ("M", True), ("A = M || B", False),
        ("$(success,true)", True), ('S = "text"', True), ("A &&", True), ("A B", True), ("N >= S", True),
    ],
)  # fmt: skip
def test_conditions(words: str, met: bool) -> None:
    values = {"A": "y", "M": "m", "C": "0", "N": "1", "S": '"text"'}
    assert condition.holds(words, values) is met
