# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `node_files`, with the real AnsibleModule, on files of this machine."""

from __future__ import annotations

import io
import json
import os
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from ansible.module_utils import basic
from ansible.module_utils.testing import patch_module_args

from ansible_collections.kvmfleet.sriov.plugins.modules import node_files

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="files become root's")


class Node:
    """Files below a folder, and runs of the module on them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.own = folder, folder / "etc"

    def run(self, *files: dict[str, str], **more: Any) -> dict[str, Any]:  # noqa: ANN401 - arguments of several types
        """The result; ``more`` are `_ansible_check_mode` and the like."""
        listed = [{**file, "path": str(self.own / file["path"])} for file in files]
        given = {"folders": [str(self.own)], "files": listed, "_ansible_remote_tmp": str(self.folder), **more}
        basic._PARSED_MODULE_ARGS = None
        output = io.StringIO()
        with patch_module_args(given), redirect_stdout(output), pytest.raises(SystemExit):
            node_files.main()
        return dict(json.loads(output.getvalue()))

    def mode(self, name: str) -> int:
        return (self.own / name).stat().st_mode & 0o777


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


A, B = {"path": "a", "content": "one\n"}, {"path": "b.service", "content": "[Unit]\n", "mode": "0640"}


def test_check_do_again(node: Node) -> None:
    paths = [str(node.own), str(node.own / "a"), str(node.own / "b.service")]
    check = node.run(A, B, _ansible_check_mode=True)
    assert (check["changed"], check["paths"], node.own.exists()) == (True, paths, False)
    done = node.run(A, B)
    assert (done["paths"], (node.own / "a").read_text(), node.mode("a"), node.mode("b.service")) == (
        paths, "one\n", 0o644, 0o640,
    )  # fmt: skip
    assert node.own.stat().st_mode & 0o777 == 0o755
    again = node.run(A, B)
    assert (again["changed"], again["paths"], "diff" in again) == (False, [], False)


def test_only_what_differs_is_written(node: Node) -> None:
    node.run(A, B)
    kept = (node.own / "b.service").stat()
    (node.own / "a").write_bytes(b"\xff two\n")
    done = node.run(A, B, _ansible_diff=True)
    assert done["paths"] == [str(node.own / "a")]
    (shown,) = done["diff"]
    assert (shown["before"], shown["after"]) == ("\ufffd two\n", "one\n")
    assert (node.own / "b.service").stat().st_ino == kept.st_ino
    assert sorted(path.name for path in node.own.iterdir()) == ["a", "b.service"]


@pytest.mark.parametrize("check", [True, False])
def test_files_that_are_new_are_a_line_each(node: Node, check: bool) -> None:
    two = {**A, "content": "one\ntwo"}
    done = node.run(two, B, _ansible_diff=True, _ansible_check_mode=check)
    shown = [f"{node.own / 'a'}: new, lines: 2\n", f"{node.own / 'b.service'}: new, lines: 1\n"]
    assert done["diff"] == [{"prepared": text} for text in shown]


def test_texts_of_new_files_are_there_from_vvv_on(node: Node) -> None:
    for verbosity, key in ((2, "prepared"), (3, "after")):
        check = node.run(A, _ansible_diff=True, _ansible_check_mode=True, _ansible_verbosity=verbosity)
        assert key in check["diff"][0]
    assert (check["diff"][0]["before"], check["diff"][0]["after"]) == ("", "one\n")


def test_a_file_that_is_empty_is_not_new(node: Node) -> None:
    node.run({**A, "content": ""})
    assert node.run(A, _ansible_diff=True)["diff"][0]["after"] == "one\n"


def test_a_mode_and_line_ends_count(node: Node) -> None:
    node.run(A, B)
    (node.own / "b.service").chmod(0o666)
    (node.own / "a").write_bytes(b"one\r\n")
    assert node.run(A, B)["paths"] == [str(node.own / "a"), str(node.own / "b.service")]
    assert (node.mode("b.service"), (node.own / "a").read_bytes()) == (0o640, b"one\n")


def test_a_path_that_is_given_twice_writes_nothing(node: Node) -> None:
    failed = node.run(A, {**A, "content": "two\n"})
    assert (failed["failed"], failed["kind"]) == (True, "BadInputError")
    assert failed["msg"] == f"files: {node.own / 'a'} is given twice; give each path once"
    assert not node.own.exists()


def test_a_folder_that_is_missing_is_named(node: Node) -> None:
    failed = node.run({"path": "deep/a", "content": "x"})
    assert failed["msg"] == (
        f"cannot write {node.own / 'deep/a'}: its folder is not there; make it, or name it in folders"
    )


def test_long_contents_are_not_repeated_in_the_result(node: Node) -> None:
    done = node.run({"path": "a", "content": "x" * 5000})
    assert done["invocation"]["module_args"]["files"].startswith("1 values, ")
