# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""XML of others, read within limits and without entities.

An entity may make gigabytes of a line, and each level of depth is one of the reader's stack. libvirt takes no document
that is longer than a string of its protocol (src/rpc/virnetprotocol.x, VIR_NET_MESSAGE_STRING_MAX), and writes none of
these.
"""

from __future__ import annotations

from collections.abc import Mapping
from xml.etree.ElementTree import Element, TreeBuilder
from xml.parsers import expat

from .._model.errors import BadInputError

LONGEST = 4 << 20
"""Bytes of a document."""
DEEPEST = 256
"""Levels; libvirt nests a disk's images up to 200 (src/storage_file, MAX_BACKING_CHAIN)."""
MOST = 100_000
"""Elements of a document; a thousand devices have some 20,000."""
MOST_ATTRIBUTES = 64
"""Attributes of an element."""


def parse(text: str, *tags: str) -> Element:
    """Parse a document whose root has one of these tags.

    Prefixes of names stay as written. Raises `BadInputError` with what is wrong.
    """
    data = _encoded(text)
    if len(data) > LONGEST:
        raise BadInputError(f"it has {len(data)} bytes, more than {LONGEST}")
    root = _Reader().read(data)
    if root.tag not in tags:
        raise BadInputError(f"its root is {root.tag[:40]!r}")
    return root


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BadInputError(f"not XML: {error.reason}") from error


class _Reader:
    """A parser that counts; errors are raised in its handlers."""

    def __init__(self) -> None:
        self.builder = TreeBuilder()
        self.depth = self.elements = 0
        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self.builder.data
        self.parser.StartDoctypeDeclHandler = self._doctype

    def read(self, data: bytes) -> Element:
        try:
            self.parser.Parse(data, True)
        except expat.ExpatError as error:
            raise BadInputError(f"not XML: {error}") from error
        return self.builder.close()

    def _start(self, tag: str, attributes: Mapping[str, str]) -> None:
        self.depth += 1
        self.elements += 1
        for count, most, what in (
            (self.depth, DEEPEST, "levels"),
            (self.elements, MOST, "elements"),
            (len(attributes), MOST_ATTRIBUTES, "attributes of an element"),
        ):
            if count > most:
                raise BadInputError(f"it has more than {most} {what}")
        self.builder.start(tag, dict(attributes))

    def _end(self, tag: str) -> None:
        self.depth -= 1
        self.builder.end(tag)

    @staticmethod
    def _doctype(*_words: object) -> None:
        raise BadInputError("it declares a document type, in which entities are made")
