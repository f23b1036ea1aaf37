"""Connection to a played host: a namespace of this machine."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

from ansible.plugins.connection.local import Connection as Local

DOCUMENTATION = """
name: played
short_description: Run commands on a played host
description:
  - Each command runs in user and mount namespaces, with the host's folders for /sys, /etc and others.
  - Its user is not root, unless the command is one of become.
author: kvmfleet.sriov contributors
options:
  root:
    description: The host's folder.
    vars:
      - name: played_root
    type: path
    required: true
  become_success_timeout:
    description: Seconds until become must have succeeded.
    type: int
    default: 120
  become_strip_preamble:
    description: Leave out of the output what become says.
    type: bool
    default: true
extends_documentation_fragment: [connection_pipelining]
"""
ENTER = Path(__file__).resolve().parents[1] / "inside/enter"


class Connection(Local):  # type: ignore[misc]  # ansible has no types
    transport = "played"

    def exec_command(self, cmd: str, in_data: bytes | None = None, sudoable: bool = True) -> Any:  # noqa: ANN401 - as Ansible has it
        user = "root" if self.become and self.become.success and self.become.success in cmd else "operator"
        words = ["unshare", "--user", "--map-root-user", "--mount", str(ENTER), self.get_option("root"), user, cmd]
        return super().exec_command(shlex.join(words), in_data=in_data, sudoable=sudoable)

    def put_file(self, in_path: str, out_path: str) -> None:
        self._move(f"cat >{shlex.quote(out_path)}", Path(in_path).read_bytes())

    def fetch_file(self, in_path: str, out_path: str) -> None:
        Path(out_path).write_bytes(self._move(f"cat {shlex.quote(in_path)}", b""))

    def _move(self, command: str, data: bytes) -> bytes:
        status, output, errors = self.exec_command(command, in_data=data, sudoable=False)
        if status:
            raise OSError(f"{command} ended with status {status}: {errors.decode(errors='replace')}")
        return bytes(output)
