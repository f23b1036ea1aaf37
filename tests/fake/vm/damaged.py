# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Damaged files of a live update, and commands that meet them."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._sriovctl import live_update_command, resume_command
from tests.fake.vm.node import FakeNode


def commands(node: FakeNode, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """A command of ``sriovctl live-update`` on the node; returns its end."""
    monkeypatch.setattr(live_update_command, "_host", lambda _args: node.live)

    def run(step: str, **given: object) -> int:
        words = {"vm": [], "confirm_not_elsewhere": False, "take_over": True, "discard_memory": [], "json": False}
        args = argparse.Namespace(root=str(node.host.root), step=step, **{**words, **given})
        return resume_command.resume(args) if step == "resume" else live_update_command.live_update(args)

    return run


def damage(node: FakeNode, name: str, text: bytes | None) -> Path:
    """Replace a file by ``text``, or by a folder."""
    path = Path(node.live.folder.path) / name
    if text is None:
        path.unlink()
        (path / "x").mkdir(parents=True)
    else:
        path.write_bytes(text)
    return path


def kept_aside(node: FakeNode, name: str) -> bool:
    return os.path.lexists(f"{node.live.folder.path}/{name}.damaged") and f"{name}.damaged" in " ".join(node.log)
