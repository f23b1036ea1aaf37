# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML is read within limits, by a reader that none slows down."""

from __future__ import annotations

import time
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._tools import bounded_xml

LAUGHS = "".join(f"<!ENTITY a{n} '{f'&a{n - 1};' * 10 if n else 'ha'}'>" for n in range(10))
DOCTYPES = {
    "laughs": f"<!DOCTYPE domain [{LAUGHS}]><domain>&a9;</domain>",
    "file": "<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain>&x;</domain>",
    "outside": "<!DOCTYPE domain SYSTEM 'http://192.0.2.1/x.dtd'><domain/>",
    "parameter": "<!DOCTYPE domain [<!ENTITY % p '<!ENTITY q \"1\">'> %p;]><domain/>",
}


@pytest.mark.parametrize("text", DOCTYPES.values(), ids=DOCTYPES)
def test_no_entity_is_made(text: str) -> None:
    begin = time.monotonic()
    with pytest.raises(BadInputError, match="it declares a document type"):
        bounded_xml.parse(text, "domain")
    assert time.monotonic() - begin < 5


LIMITS = {
    "levels": (
        "<domain>" + "<a>" * (bounded_xml.DEEPEST - 1), "<a>",
        "</a>", "</a>" * (bounded_xml.DEEPEST - 1) + "</domain>", "more than 256 levels",
    ),
    "elements": ("<domain>" + "<a/>" * (bounded_xml.MOST - 1), "<a/>", "", "</domain>", "more than 100000 elements"),
    "attributes": (
        "<domain " + " ".join(f"a{n}=''" for n in range(bounded_xml.MOST_ATTRIBUTES)), " b=''", "", "/>",
        "more than 64 attributes",
    ),
    "bytes": (
        "<domain>" + "x" * (bounded_xml.LONGEST - len("<domain></domain>")), "x", "", "</domain>",
        "4194305 bytes, more than 4194304",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("head", "more", "end", "tail", "why"), LIMITS.values(), ids=LIMITS)
def test_limits(head: str, more: str, end: str, tail: str, why: str) -> None:
    """What is just allowed is read, one more is not."""
    assert bounded_xml.parse(head + tail, "domain").tag == "domain"
    with pytest.raises(BadInputError, match=why):
        bounded_xml.parse(head + more + end + tail, "domain")


BROKEN = {
    "": "not XML: no element found", "<domain>": "not XML: no element found", "<domain/><x/>": "not XML: junk",
    "<domain>&nbsp;</domain>": "not XML: undefined entity", "\0": "not XML", "<domain>\udc80</domain>": "not XML",
    "<domain a='1' a='2'/>": "not XML: duplicate attribute", "<pool/>": "its root is 'pool'",
    "<?xml version='1.0'": "not XML",
}  # fmt: skip


@pytest.mark.parametrize(("text", "why"), BROKEN.items())
def test_what_is_no_such_document_is_an_error(text: str, why: str) -> None:
    with pytest.raises(BadInputError, match=why):
        bounded_xml.parse(text, "domain")


def test_text_comments_and_prefixes_are_kept_as_far_as_they_matter() -> None:
    root = bounded_xml.parse(
        "<?xml version='1.0' encoding='utf-16'?><!-- <!DOCTYPE x> --><domain xmlns:qemu='u'><name>&lt;a&#228; &amp;b"
        "</name><qemu:commandline><qemu:arg value='-x'/></qemu:commandline><![CDATA[<c>]]></domain>",
        "domain",
    )
    assert root.findtext("name") == "<aä &b"
    assert root[1].tag == "qemu:commandline"
    assert root[1].tail == "<c>"


TEXT = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xD7FF), max_size=10)
TAGS = st.sampled_from(("a", "b-c", "source", "\u00e4"))


def _written(tag: str, value: str, items: list[str]) -> str:
    return f"<{tag} k={quoteattr(value)}>{''.join(items)}</{tag}>"


TREES = st.recursive(
    TEXT.map(escape), lambda below: st.builds(_written, TAGS, TEXT, st.lists(below, max_size=4)), max_leaves=20
)


@settings(deadline=None, max_examples=60)
@given(TREES)
def test_trees_are_read_as_the_standard_library_reads_them(tree: str) -> None:
    text = f"<domain>{tree}</domain>"
    assert ElementTree.tostring(bounded_xml.parse(text, "domain")) == ElementTree.tostring(ElementTree.fromstring(text))
