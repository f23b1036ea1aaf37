# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``sriovctl check``: a host document by itself, on any machine."""

from __future__ import annotations

import argparse

from .._document import templates, text
from .._model.errors import BadInputError
from .._plan import without_host
from . import invocation
from .output import BAD_INPUT


def check(arguments: argparse.Namespace) -> int:
    """Print what is wrong in a file, reading nothing of a host.

    Raises `BadInputError` with all mistakes; with ``--json``, they are printed instead.
    """
    try:
        data = text.from_yaml(invocation.text_of(arguments.file), arguments.file)
        templates.refuse(data, arguments.file)
        document = text.document_of(data)
        without_host.refuse(document)
    except BadInputError as error:
        if not arguments.json:
            raise
        invocation.show(arguments, {"mistakes": list(error.mistakes)}, [])
        return BAD_INPUT
    number = len(document.pfs)
    lines = [f"No mistakes; {number} PF{'' if number == 1 else 's'} declared. sriovctl plan compares it with a host."]
    invocation.show(arguments, {"mistakes": [], "document": document.to_dict()}, lines)
    return 0
