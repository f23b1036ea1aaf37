# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Module `node_files`: a set of small files, written together.

Each of them by a task of its own would take a connection or two. Ansible's own module code moves a file to its place,
as it knows of SELinux.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from typing import Any, Protocol

from .._model.errors import BadInputError, KernelError

OWN = {"owner": "root", "group": "root"}
TEXTS = 3
"""The verbosity of -vvv: a diff has the text of new files."""


class FilesModule(Protocol):
    """The parts of `AnsibleModule` that are used."""

    params: dict[str, Any]
    check_mode: bool
    _diff: bool
    _verbosity: int
    tmpdir: str

    def atomic_move(self, src: str, dest: str) -> None: ...
    def load_file_common_arguments(self, params: dict[str, Any], path: str) -> dict[str, Any]: ...
    def set_fs_attributes_if_different(self, file_args: dict[str, Any], changed: bool) -> bool: ...


def write(module: FilesModule) -> dict[str, Any]:
    """Make folders, then files that differ; returns the result of `node_files`."""
    files = module.params["files"]
    paths = [file["path"] for file in files]
    twice = sorted({path for path in paths if paths.count(path) > 1})
    if twice:
        raise BadInputError(f"files: {', '.join(twice)} is given twice; give each path once")
    changed = [path for path in module.params["folders"] if _folder(module, path)]
    diff = []
    for file in files:
        before = _read(file["path"])
        if _file(module, file, before):
            changed.append(file["path"])
        if before != file["content"]:
            diff.append(_shown(file, before, module._verbosity >= TEXTS))
    return {"changed": bool(changed), "paths": changed, **({"diff": diff} if module._diff else {})}


def _shown(file: dict[str, Any], before: str | None, full: bool) -> dict[str, str]:
    """A file's entry in the diff, whose text is UTF-8.

    One that is new is a line: the same texts for each host would hide what hosts differ in.
    """
    if before is None and not full:
        return {"prepared": f"{file['path']}: new, lines: {len(file['content'].splitlines())}\n"}
    text = (before or "").encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return {"before_header": file["path"], "before": text, "after_header": file["path"], "after": file["content"]}


def _folder(module: FilesModule, path: str) -> bool:
    new = not os.path.isdir(path)
    if new and module.check_mode:
        return True
    if new:
        try:
            os.mkdir(path, 0o755)
        except OSError as error:
            raise KernelError("create folder", path, error.errno or 0) from error
    return _attributes(module, path, "0755", new)


def _file(module: FilesModule, file: dict[str, Any], before: str | None) -> bool:
    """Write one file, where it differs; returns whether it did."""
    path, differs = file["path"], before != file["content"]
    if differs and module.check_mode:
        return True
    if differs:
        _replace(module, path, file["content"])
    return _attributes(module, path, file["mode"], differs)


def _attributes(module: FilesModule, path: str, mode: str, changed: bool) -> bool:
    return module.set_fs_attributes_if_different(
        module.load_file_common_arguments({**OWN, "mode": mode}, path=path), changed
    )


def _read(path: str) -> str | None:
    """The text of a file, None where there is none.

    Bytes that are no UTF-8 differ from whatever shall be there.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            return file.read()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise KernelError("read", path, error.errno or 0) from error


def _replace(module: FilesModule, path: str, content: str) -> None:
    if not os.path.isdir(os.path.dirname(path)):
        raise BadInputError(f"cannot write {path}: its folder is not there; make it, or name it in folders")
    handle, new = tempfile.mkstemp(dir=module.tmpdir)
    try:
        with open(handle, "w", encoding="utf-8", newline="") as file:
            file.write(content)
        module.atomic_move(new, path)
    except OSError as error:
        raise KernelError("write", path, error.errno or 0) from error
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(new)
