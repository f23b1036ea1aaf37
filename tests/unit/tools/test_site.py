# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The source of the site: guides, and links in place of references."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.site import __main__ as site

ROOT = Path(__file__).resolve().parents[3]


def test_every_guide_has_its_place() -> None:
    guides = {f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")}
    assert {name for name in site.pages() if name.startswith("docs/")} == guides
    assert all((ROOT / name).is_file() for name in (*site.pages(), *site.TEXTS))
    assert "docs/live_update\n" in site.index(site.pages())


# text of antsibull-docs, on the site
LINKS = [
    (":ref:`here <common_return_values>`", "`here <https://docs.ansible.com/ansible/latest/reference_appendices/"),
    (
        ":ref:`ansible.builtin.copy <ansible_collections.ansible.builtin.copy_module>`",
        "`ansible.builtin.copy <https://docs.ansible.com/ansible/latest/collections/ansible/builtin/copy_module.html>`__",
    ),
    (":ref:`x <ansible_collections.kvmfleet.sriov.sriov_pf_module>`", ":ref:`x <ansible_collections.kvmfleet."),
    (":ref:`x <no_label_that_is_known>`", ":ref:`x <no_label_that_is_known>`"),
]


@pytest.mark.parametrize(("text", "beginning"), LINKS)
def test_references_to_other_inventories(text: str, beginning: str) -> None:
    assert site.linked(f"see {text}.").startswith(f"see {beginning}")


def test_the_source_is_complete(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins/a.rst").write_text("see :ref:`here <common_return_values>`\n")
    site.main(tmp_path)
    assert (tmp_path / "docs/quick_start.md").read_text() == (ROOT / "docs/quick_start.md").read_text()
    assert ":ref:" not in (tmp_path / "plugins/a.rst").read_text()
    assert (tmp_path / "COPYING").exists()
