# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `sriovctl` prints: no control character but its own colours."""

from __future__ import annotations

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._sriovctl import output


def test_names_move_no_cursor_and_forge_no_line(capsys: pytest.CaptureFixture[str]) -> None:
    output.answer("a\x1b[2Jb \x1b[31mred\x1b[0m\nsecond\udc80\u2028")
    output.remark("x\x1b[31my\r\nz")
    shown = capsys.readouterr()
    assert shown.out == "a\\x1b[2Jb \x1b[31mred\x1b[0m\nsecond\\udc80\\u2028\n"
    assert shown.err == "x\\x1b[31my\\r\nz\n"
