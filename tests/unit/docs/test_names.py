# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names in documents exist.

They are paths, rooms, make targets, and what users call or set.
"""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._report import status_text

ROOT = Path(__file__).resolve().parents[3]
COLLECTION = "kvmfleet.sriov"
PAGES = sorted([
    ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "kernel/README.md", *ROOT.glob("docs/*.md"),
    *ROOT.glob("roles/*/README.md"),
])  # fmt: skip
MADE = ("build", ".venv", ".git")
FOLDERS = tuple(f"{path.name}/" for path in ROOT.iterdir() if path.is_dir() and path.name not in MADE)
HOUSES = [ROOT / "plugins/module_utils", ROOT / "plugins/plugin_utils"]
ELSEWHERE = ("tools/testing/", "docs/system/", "docs/devel/", "kernel/many_vfs/many_vfs.ko")
"""Beginnings of paths in Linux, in QEMU, and of made files."""
KERNEL = {
    "sriov_numvfs", "sriov_totalvfs", "sriov_numvfs_no_scan", "sriov_scan_vf_id", "sriov_remove_vf_id", "sriov_offset",
    "sriov_stride", "sriov_vf_device", "sriov_vf_msix_count", "sriov_vf_total_msix", "sriov_drivers_autoprobe",
}  # fmt: skip
"""Files of the kernel that are named like variables of a role."""


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


by_page = pytest.mark.parametrize("page", PAGES, ids=name_of)
of_the_collection = pytest.mark.parametrize(
    "page", [page for page in PAGES if page.parent.name != "kernel"], ids=name_of
)


def quoted(page: Path) -> list[str]:
    """Words in backticks and in fenced blocks, less punctuation around them."""
    text = page.read_text()
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL))
    return [word.strip("()[]{},;:'\"=") for part in (*fenced, *inline) for word in part.split()]


def spread(name: str) -> list[str]:
    """``a/{b,c}`` as ``a/b`` and ``a/c``."""
    found = re.fullmatch(r"(.*)\{([^{}]*)\}(.*)", name)
    return [one for part in found[2].split(",") for one in spread(found[1] + part + found[3])] if found else [name]


def missing_paths(page: Path) -> Iterator[str]:
    rooms = re.compile(r"_[a-z_]+/")
    for name in (one for word in quoted(page) for one in spread(word.removeprefix("./"))):
        if "://" in name or name.startswith(ELSEWHERE) or re.search(r"[A-Z]{3,}(/|$)", name):
            continue
        bases = [ROOT, page.parent] if name.startswith(FOLDERS) else HOUSES if rooms.match(name) else []
        if bases and not any(_is_there(base, name) for base in bases):
            yield name


def _is_there(base: Path, name: str) -> bool:
    return any(base.glob(name.rstrip("/."))) if name.rstrip("/.") else base.exists()


@by_page
def test_paths_exist(page: Path) -> None:
    assert list(missing_paths(page)) == []


@by_page
def test_make_targets_exist(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = re.findall(r"(?:^|`)make ([a-z0-9-]+)", page.read_text(), re.MULTILINE)
    assert [name for name in named if name not in targets] == []


@cache
def called() -> set[str]:
    """Modules and their groups, filters, roles and playbooks."""
    found = [*ROOT.glob("plugins/modules/*.py"), *ROOT.glob("plugins/filter/*.yml"), *ROOT.glob("playbooks/*.yml")]
    groups = set(yaml.safe_load((ROOT / "meta/runtime.yml").read_text())["action_groups"])
    return groups | {path.stem for path in found} | {path.name for path in (ROOT / "roles").iterdir()}


@by_page
def test_what_is_called_exists(page: Path) -> None:
    named = re.findall(rf"{re.escape(COLLECTION)}\.([a-z_]+)", page.read_text())
    assert [name for name in named if name not in called() | {"git"}] == []


@pytest.mark.parametrize("name", sorted(path.stem for path in ROOT.glob("plugins/modules/*.py")))
def test_readme_names_every_module(name: str) -> None:
    assert f"`{name}`" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(path.stem for path in ROOT.glob("plugins/filter/from_*.yml")))
def test_every_converter_is_where_users_look(name: str) -> None:
    """In README, in the head of the playbook, and in the guide."""
    assert f"`{name}`" in (ROOT / "README.md").read_text()
    source = name.removeprefix("from_").replace("sriov_info", "host")
    assert source in (ROOT / "playbooks/convert.yml").read_text().partition("- name")[0]
    assert source in (ROOT / "docs/moving_to_host_documents.md").read_text()


@cache
def variables() -> set[str]:
    """Options of roles, facts that they set, and variables of playbooks."""
    found = set()
    for specs in ROOT.glob("roles/*/meta/argument_specs.yml"):
        main = yaml.safe_load(specs.read_text())["argument_specs"]["main"]
        found |= set(main["options"]) | set(re.findall(r"C\(([a-z_]+)\)", " ".join(main["description"])))
    for playbook in ROOT.glob("playbooks/*.yml"):
        found |= set(re.findall(r"\b[a-z]+(?:_[a-z]+)+\b", playbook.read_text()))
    return found


@of_the_collection
def test_variables_exist(page: Path) -> None:
    roles = sorted(path.name for path in (ROOT / "roles").iterdir())
    named = [word for word in quoted(page) if re.fullmatch(rf"({'|'.join(roles)}|convert)_[a-z_]+", word)]
    known = variables() | called() | KERNEL | {"sriov_tenants", "kernel_build_headers"}
    assert [name for name in named if name not in known] == []


def anchors(page: Path) -> set[str]:
    """Anchors of the headings, as GitHub makes them."""
    heads = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    own = re.findall(r'<a id="([^"]+)">', page.read_text())
    return {*own, *(re.sub(r"[^\w\- ]", "", head.lower()).replace(" ", "-") for head in heads)}


@by_page
def test_links_lead_to_headings(page: Path) -> None:
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]+))?\)", page.read_text()):
        other = page.parent / target if target else page
        assert other.exists(), target
        assert not anchor or anchor in anchors(other), f"{target}#{anchor}"


def test_every_room_is_on_the_map_in_its_order() -> None:
    config = configparser.ConfigParser()
    config.read(ROOT / ".config/importlinter.ini")
    floors = [line.split(" | ") for line in config["importlinter:contract:rooms"]["layers"].split("\n") if line]
    highest = len(floors) - 1
    wanted = [(str(highest - index), room) for index, floor in enumerate(floors) for room in floor]
    rows = re.findall(r"^\| (\d+) \| `(_\w+)` \|", (ROOT / "docs/internals.md").read_text(), re.MULTILINE)
    assert rows == wanted


@of_the_collection
def test_words_of_the_field(page: Path) -> None:
    """Words for which the glossary has better ones."""
    private = (
        r"\b(wish(es|ed)?|glances?|doors?|through 0|lets? go of|signs of life|owed|owes|told|as found"
        r"|look(s|ed|ing)? at|who uses|users? of (a|the) VFs?|where it stands)\b"
    )
    assert re.findall(private, page.read_text(), re.IGNORECASE) == []


def test_every_column_of_status_is_explained() -> None:
    section = (ROOT / "docs/operating.md").read_text().split("## Status", 1)[1].split("\n## ", 1)[0]
    words = set(re.findall(r"[A-Z]+", section))
    assert [head for head, _cell in status_text._PF_COLUMNS if head not in words] == []


def messages() -> list[str]:
    """Messages in the first columns of the troubleshooting tables.

    Parts that differ from case to case are left out.
    """
    firsts = re.findall(r"^\| (.*?) \|", (ROOT / "docs/troubleshooting.md").read_text(), re.MULTILINE)
    texts = [text for first in firsts for text in re.findall(r"`([^`]+)`", first) if " " in text]
    return [part.strip() for text in texts for part in text.split("...") if len(part.strip()) > 2]


@cache
def sources() -> str:
    """Code and tasks, with strings of several lines in one piece."""
    files = [*ROOT.glob("plugins/**/*.py"), *ROOT.glob("roles/*/tasks/*.yml"), ROOT / "Makefile"]
    text = "\n".join(path.read_text() for path in sorted(files))
    return re.sub(r"\s+", " ", re.sub(r'"\s*\n\s*f?"', "", text))


@pytest.mark.parametrize("message", messages())
def test_messages_of_troubleshooting_are_in_the_code(message: str) -> None:
    assert message in sources() or message.startswith("make ")
