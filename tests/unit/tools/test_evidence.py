# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Records of results, and what of a Python file counts in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools import evidence

SOURCE = 'def a():\n    """It is a."""\n    return """one\n\ntwo  \n"""\n\n\nB = 1  # one\n'


def test_comments_docstrings_and_empty_lines_do_not_count() -> None:
    before = evidence.code(SOURCE)
    for old, new in (("It is a", "It is b"), ("# one", "# two"), ("\n\n\nB", "\n\n# another\nB")):
        assert evidence.code(SOURCE.replace(old, new)) == before
    assert "It is a" not in before


@pytest.mark.parametrize(("old", "new"), [("one\n\n", "one\n"), ("two  ", "two"), ("two", "# two"), ("B = 1", "B = 2")])
def test_all_of_a_text_counts(old: str, new: str) -> None:
    assert evidence.code(SOURCE.replace(old, new)) != evidence.code(SOURCE)


def test_an_entry_is_valid_for_what_is_now_as_it_was() -> None:
    assert evidence.why({"a": "1", "day": "x"}, {"a": "1"}) == ""
    assert evidence.why({"a": "1"}, {"a": "2", "b": "1"}) == "changed since: a, b"
    assert evidence.why(None, {}) == evidence.NEVER


def test_a_change_is_written_in_one_piece_and_a_line_for_each_entry(tmp_path: Path) -> None:
    file = tmp_path / "EVIDENCE.json"
    with evidence.changed(file, 1) as known:
        known |= {"b": {"x": "1"}, "a": {"y": "2", "x": "1"}}
    assert file.read_text() == '{\n  "a": {"x": "1", "y": "2"},\n  "b": {"x": "1"}\n}\n'
    broken = evidence.changed(file, 1)
    broken.__enter__().clear()
    assert broken.__exit__(KeyError, KeyError(), None) is not True
    assert len(json.loads(file.read_text())) == 2
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("text", ["", "[]", "{", "<<<<<<< ours\n{}\n"])
def test_what_is_no_record_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    file = tmp_path / "EVIDENCE.json"
    file.write_text(text)
    with pytest.raises(evidence.BadRecordError, match=r"cannot read the record .*EVIDENCE.json: .*record anew"):
        evidence.load(file)
    with pytest.raises(evidence.BadRecordError), evidence.changed(file, 1):
        pass
    assert file.read_text() == text
