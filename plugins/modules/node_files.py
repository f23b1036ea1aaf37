#!/usr/bin/python
# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: node_files
short_description: Write a set of small text files on a host at once
version_added: 0.1.0
description:
  - Writes files that belong together, such as a document and the units that read it, in one go. Role
    P(kvmfleet.sriov.sriov#role) uses it.
  - Each file is replaced as a whole, or not at all. Files and folders belong to root.
author:
  - The kvmfleet.sriov contributors (@kvmfleet)
extends_documentation_fragment:
  - kvmfleet.sriov._attributes
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
    details: A file that is not there yet is one line, with the number of its lines; from C(-vvv) on it is its text.
  idempotent:
    support: full
options:
  folders:
    description: Folders to make before, with mode 0755. The folder of each must exist, or be named before it.
    type: list
    elements: path
    default: []
  files:
    description: The files. None may be given twice.
    type: list
    elements: dict
    required: true
    suboptions:
      path:
        description: Where the file is.
        type: path
        required: true
      content:
        description: Its text.
        type: str
        required: true
      mode:
        description: Its mode, an octal number in quotes.
        type: str
        default: "0644"
seealso:
  - module: ansible.builtin.copy
"""

EXAMPLES = r"""
- name: Write a unit, and what it reads
  kvmfleet.sriov.node_files:
    folders: [/etc/example]
    files:
      - path: /etc/example/settings
        content: |
          interval=60
      - path: /etc/systemd/system/example.service
        content: "{{ lookup('ansible.builtin.template', 'example.service.j2') }}"
"""

RETURN = r"""
paths:
  description: Folders and files that were changed, in check mode those that would be.
  returned: success
  type: list
  elements: str
  sample: [/etc/example/settings]
kind:
  description: What kind of failure it is. V(BadInputError) is one of the arguments.
  returned: failure
  type: str
  sample: KernelError
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible import files_module
from ansible_collections.kvmfleet.sriov.plugins.module_utils._ansible.module import finish


def main() -> None:
    file = {
        "path": {"type": "path", "required": True},
        "content": {"type": "str", "required": True},
        "mode": {"type": "str", "default": "0644"},
    }
    module = AnsibleModule(
        argument_spec={
            "folders": {"type": "list", "elements": "path", "default": []},
            "files": {"type": "list", "elements": "dict", "required": True, "options": file},
        },
        supports_check_mode=True,
    )
    finish(module, lambda: files_module.write(module))


if __name__ == "__main__":
    main()
