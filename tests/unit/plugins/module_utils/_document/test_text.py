# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Texts of documents: JSON and YAML, and what is neither."""

from __future__ import annotations

import sys

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document import text
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError

# JSON, words of the message
BAD = [
    ("{", "F is not JSON: Expecting property name"),
    ('{"pfs": [], "pfs": [1]}', "F: the key 'pfs' is there twice in one mapping; keep one"),
    ('{"pfs": [{"pf": "a", "vfs": [{"ids": 1, "ids": 2}]}]}', "the key 'ids' is there twice"),
    ('{"pfs": NaN}', "F is not JSON: it has NaN"),
    ('{"pfs": -Infinity}', "it has -Infinity"),
    (f'{{"pfs": {"9" * 5000}}}', "is not a whole number"),
    ("[" * 100_000, "F is nested too deeply for a host document"),
]


@pytest.mark.parametrize(("document", "words"), BAD, ids=range(len(BAD)))
@pytest.mark.parametrize("reader", [text.from_json, text.from_yaml])
def test_json_that_is_refused(document: str, words: str, reader: object) -> None:
    with pytest.raises(BadInputError) as caught:
        reader(document, "F")  # type: ignore[operator]  # a parametrized function
    assert words in str(caught.value)
    assert len(str(caught.value)) < 300


# YAML, words of the message
BAD_YAML = [
    ("pfs: [", "F is not YAML: while parsing"),
    ("pfs:\n- {pf: a, pf: b}\n", "F: the key 'pf' is there twice in one mapping; keep one"),
    ("pfs: !!python/object/apply:os.system [id]\n", "F is not YAML: could not determine a constructor"),
    ("a: " + "[" * 5_000, "F is"),
    ("? [a]\n: 1\n", "F is not YAML: "),
    ("a: " + "9" * 5000, "F is not YAML: "),
]


@pytest.mark.parametrize(("document", "words"), BAD_YAML, ids=range(len(BAD_YAML)))
def test_yaml_that_is_refused(document: str, words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        text.from_yaml(document, "F")
    assert words in str(caught.value)


def test_a_document_that_is_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "LONGEST", 3)
    with pytest.raises(BadInputError, match="F has 4 characters; a host document has at most 3"):
        text.from_yaml("abcd", "F")


def test_without_pyyaml_the_fix_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "yaml", None)
    assert text.from_yaml(' {"pfs": []}', "F") == {"pfs": []}
    with pytest.raises(BadInputError, match="F is not JSON, and this Python has no PyYAML; install python3-yaml"):
        text.from_yaml("pfs: []", "F")


@pytest.mark.parametrize(
    "document", ["pfs: [{pf: eth0}]", "other: 1\nsriov_pfs: [{pf: eth0}]", '{"pfs": [{"pf": "eth0"}]}']
)
def test_documents_and_files_of_variables(document: str) -> None:
    assert text.document_of(text.from_yaml(document, "F")).to_dict() == {"pfs": [{"pf": "eth0"}]}
