# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Filter `host_document`: declared PFs as a host document."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible.errors import AnsibleFilterError

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import BadInputError
from ansible_collections.kvmfleet.sriov.plugins.module_utils._plan import without_host


def host_document(pfs: object) -> dict[str, Any]:
    """The host document with the PFs ``pfs``, checked as ``sriovctl check`` does."""
    try:
        document = validate({"pfs": pfs})
        without_host.refuse(document)
        return document.to_dict()
    except BadInputError as error:
        raise AnsibleFilterError(f"host_document: {error}") from error


class FilterModule:
    """The filter by its name."""

    def filters(self) -> dict[str, Callable[..., Any]]:
        return {"host_document": host_document}
