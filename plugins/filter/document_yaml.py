# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter that writes a converted document as a file for the inventory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.yaml_text import comments, pfs_lines, quoted
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError


def document_yaml(converted: object, made_by: str = "a filter of kvmfleet.sriov") -> str:
    """Text of a file with ``sriov_pfs``, and notices as comments.

    ``converted`` is what the filters ``from_...`` return.
    """
    if not isinstance(converted, Mapping) or not {"document", "notices"} <= converted.keys():
        raise AnsibleFilterError("document_yaml: give what a filter from_... has returned, with document and notices")
    try:
        document = validate(converted["document"])
    except BadInputError as error:
        raise AnsibleFilterError(f"document_yaml: {error}") from error
    notices = comments(map(str, converted["notices"])) or ["# - nothing was left out"]
    head = ["---", f"# Made by {quoted(made_by)}. What is not in it:"]
    return "\n".join([*head, *notices, *pfs_lines(document)]) + "\n"


class FilterModule:
    """The filter; it is documented in the file of its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"document_yaml": document_yaml}
