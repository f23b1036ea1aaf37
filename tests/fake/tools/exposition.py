# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A strict parser of Prometheus' text format, version 0.0.4.

What is only bad style is an error here as well. Written from prometheus.io/docs/instrumenting/exposition_formats and
prometheus.io/docs/practices/naming.
"""

from __future__ import annotations

import re

Labels = tuple[tuple[str, str], ...]
"""In the order of the text."""

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_LABEL = re.compile(r'([a-z][a-z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"')
_VALUE = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]\d+)?")
_ESCAPES = {"\\\\": "\\", '\\"': '"', "\\n": "\n"}


def parse(text: str) -> dict[str, dict[Labels, float]]:
    """Values by labels by name.

    Each name has HELP, TYPE gauge and samples, in this order and once.
    """
    assert text == "" or text.endswith("\n"), "the last line must end"
    found: dict[str, dict[Labels, float]] = {}
    name, state = "", "samples"
    for line in text.split("\n")[:-1]:
        if line.startswith("# HELP "):
            name, _blank, words = line.removeprefix("# HELP ").partition(" ")
            assert _NAME.fullmatch(name), line
            assert state == "samples", f"no samples before: {line}"
            assert name not in found, f"twice: {line}"
            assert words.endswith("."), line
            assert not re.search(r"\\(?![\\n])", words), line
            assert not name.endswith(("_total", "_count", "_sum", "_bucket", "_info_info")), f"no gauge: {line}"
            found[name], state = {}, "help"
        elif line.startswith("# TYPE "):
            assert (line, state) == (f"# TYPE {name} gauge", "help"), line
            state = "type"
        else:
            assert state in ("type", "samples"), f"a sample before its type: {line}"
            labels, value = _sample(line, name)
            assert labels not in found[name], f"twice: {line}"
            found[name][labels] = value
            state = "samples"
    assert state == "samples"
    return found


def _sample(line: str, name: str) -> tuple[Labels, float]:
    assert line.startswith(name), line
    rest = line[len(name) :]
    labels: list[tuple[str, str]] = []
    if rest.startswith("{"):
        rest = rest[1:]
        while True:
            match = _LABEL.match(rest)
            assert match, line
            assert match.group(1) not in dict(labels), line
            labels.append((match.group(1), re.sub(r"\\.", lambda escape: _ESCAPES[escape.group()], match.group(2))))
            rest = rest[match.end() :]
            if not rest.startswith(","):
                break
            rest = rest[1:]
        assert rest.startswith("}"), line
        rest = rest[1:]
    assert rest.startswith(" "), line
    assert _VALUE.fullmatch(rest[1:]), line
    return tuple(labels), float(rest[1:])
