# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One call of ``sriovctl``: its machine, its host document, and its output."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from .._document.document import HostDocument, validate
from .._model.errors import BadInputError
from .._model.paths import HOST_DOCUMENT
from .._model.values import printable
from .._system import process
from .._system.process import Run
from .._system.sysfs import Sysfs
from .output import answer

if TYPE_CHECKING:
    from .._document.selector import PfName


def machine(arguments: argparse.Namespace) -> tuple[Sysfs, Run]:
    """The machine below the root of the call.

    Below another root no program is run: it would act on this machine.
    """
    own = arguments.root.rstrip("/") == ""
    return Sysfs(arguments.root), process.run if own else process.refuse


def read_document(sysfs: Sysfs, file: str | None) -> HostDocument:
    """Read the host document.

    ``file`` is a path of this machine, the default one is below the root. Raises `BadInputError` for a file that cannot
    be read and for what is no host document.
    """
    from .._document import text

    path = file or sysfs.real(HOST_DOCUMENT)
    return validate(text.from_json(text_of(path), path))


def text_of(path: str) -> str:
    """The text of a file, of stdin for ``-``.

    Raises `BadInputError` for one that cannot be read, and for what is no UTF-8.
    """
    try:
        if path == "-":
            return sys.stdin.read()
        with open(path, encoding="utf-8") as stream:
            return stream.read()
    except OSError as error:
        raise BadInputError(f"cannot read the host document {path}: {error.strerror}") from error
    except ValueError as error:
        raise BadInputError(f"cannot read the host document {path}: {printable(str(error))}") from error


def declared(sysfs: Sysfs) -> tuple[HostDocument | None, str | None]:
    """The host document or the error in it; neither without one."""
    if not sysfs.exists(HOST_DOCUMENT):
        return None, None
    try:
        return read_document(sysfs, None), None
    except BadInputError as error:
        return None, str(error)


def named(arguments: argparse.Namespace) -> list[PfName] | None:
    """The PFs of the argument ``pf``; None where none is given."""
    if not arguments.pf:
        return None
    from .._document.selector import from_text

    return [from_text(text) for text in arguments.pf]


def show(arguments: argparse.Namespace, data: dict[str, Any], lines: Sequence[str]) -> None:
    """Print ``lines`` for people, or ``data`` with ``--json``."""
    answer(json.dumps(data, indent=2) if arguments.json else "\n".join(lines))
