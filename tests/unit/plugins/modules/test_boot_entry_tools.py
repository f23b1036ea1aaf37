# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `boot_entry` when GRUB's tools fail, do nothing, or write nothing."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import KernelError, ToolError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._system import durable
from tests.fake.boot.entry_module import Call, call, files, root
from tests.fake.boot.grub import NEW, OLD, GrubRoot, entry, missing

__all__ = ["call", "root"]
pytestmark = pytest.mark.skipif(bool(missing()), reason=f"not on this machine: {', '.join(missing())}")


@pytest.mark.parametrize("at", ["grub-editenv", "grub-mkconfig -o"])
def test_everything_is_as_before_when_a_tool_fails(root: GrubRoot, call: Call, at: str) -> None:
    before = files(root)

    def fails(argv: Sequence[str]) -> str:
        if " ".join(argv).startswith(at):
            raise ToolError(argv, 1, "no space left on device")
        return root.run(argv)

    refused = call(fails, default=OLD)
    assert (refused["failed"], refused["kind"]) == (True, "ToolError")
    assert files(root) == before


def test_a_tool_that_does_nothing_is_noticed(root: GrubRoot, call: Call) -> None:
    call(default=OLD)
    before = files(root)
    refused = call(lambda argv: "", default=NEW, allow_unproven=True)
    assert refused["kind"] == "VerifyError"
    assert "is " + entry(OLD) in refused["msg"]
    refused = call(lambda argv: "", once=NEW)
    assert refused["kind"] == "VerifyError"
    assert "wrote nothing" in refused["msg"]
    assert files(root) == before


def test_an_empty_grub_cfg_never_takes_the_place_of_the_old_one(root: GrubRoot, call: Call) -> None:
    before = files(root)

    def empty(argv: Sequence[str]) -> str:
        if list(argv[:2]) != ["grub-mkconfig", "-o"]:
            return root.run(argv)
        Path(argv[2]).write_text("\n")
        assert (root.folder / "boot/grub/grub.cfg").read_text()
        return ""

    refused = call(empty, default=OLD)
    assert (refused["kind"], "wrote nothing" in refused["msg"]) == ("VerifyError", True)
    assert files(root) == before


def test_a_read_only_file_system_is_told_by_who_had_to_write(
    root: GrubRoot, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not by what is cleaned up behind it."""
    call(default=OLD)
    real = durable.remove

    def remove(path: str) -> None:
        if "grub.cfg." in path:
            raise KernelError("delete", path, errno.EROFS)
        real(path)

    def fails(argv: Sequence[str]) -> str:
        if list(argv[:2]) == ["grub-mkconfig", "-o"]:
            raise ToolError(argv, 1, "grub.cfg.kvmfleet-sriov: Read-only file system")
        return root.run(argv)

    monkeypatch.setattr(durable, "remove", remove)
    refused = call(fails, once=NEW)
    assert (refused["kind"], "grub-mkconfig" in refused["msg"]) == ("ToolError", True)
