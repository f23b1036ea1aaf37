# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Colour for people at terminals alone."""

from __future__ import annotations

import io
from collections.abc import Mapping

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._report.terminal import BOLD, paint_for


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


# a stream, its environment, what becomes of a line
STREAMS: list[tuple[io.StringIO, Mapping[str, str], str]] = [
    (Terminal(), {"TERM": "xterm"}, "\x1b[1mPF\x1b[0m"),
    (Terminal(), {}, "\x1b[1mPF\x1b[0m"),
    (Terminal(), {"NO_COLOR": ""}, "\x1b[1mPF\x1b[0m"),
    (Terminal(), {"NO_COLOR": "1"}, "PF"),
    (Terminal(), {"TERM": "dumb"}, "PF"),
    (io.StringIO(), {"TERM": "xterm"}, "PF"),
]


@pytest.mark.parametrize(("stream", "environment", "line"), STREAMS)
def test_when(stream: io.StringIO, environment: Mapping[str, str], line: str) -> None:
    assert paint_for(stream, environment)("PF", BOLD) == line
