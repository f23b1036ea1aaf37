# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What of a host's evidence is kept on the controller."""

from __future__ import annotations

import json

import pytest

from ansible_collections.kvmfleet.sriov.plugins.plugin_utils._report import secrecy

MANIFEST = {
    "schema": 2, "id": "0" * 32, "created": 1.5, "host": "h1", "new member": "hunter2",
    "kernel": {"release_after": "6.12", "cmdline": "root=/dev/vda rd.iscsi.password=hunter2 quiet"},
    "vms": [
        {"name": "web1", "unit": "web1.service", "pid": 7, "vfs": [], "part": {
            "argv": ["qemu", "-object", "secret,id=s,data=hunter2"], "environment": {"TOKEN": "hunter2"}}},
    ],
}  # fmt: skip


def test_no_secret_of_a_manifest_leaves_its_host() -> None:
    kept = secrecy.public_manifest(MANIFEST)
    assert "hunter2" not in json.dumps(kept)
    assert kept["vms"] == [{"name": "web1", "unit": "web1.service", "vfs": []}]
    assert kept["kernel"]["cmdline"] == "root=/dev/vda rd.iscsi.password=*** quiet"
    assert kept["created"] == 1.5


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("-object secret,id=s,data=hunter2,format=raw", "-object secret,id=s,data=***,format=raw"),
        ("-spice port=5900,password=hunter2", "-spice port=5900,password=***"),
        ("API_TOKEN=hunter2 PATH=/bin", "API_TOKEN=*** PATH=/bin"),
        ("Passphrase=hunter2", "Passphrase=***"),
        ('{"error": "cannot start -vnc password=hunter2"}', '{"error": "cannot start -vnc password=***"}'),
        ("metadata=on,size=64,key=a", "metadata=on,size=64,key=a"),
        ("no secret here", "no secret here"),
    ],
)
def test_values_of_secrets_are_replaced(text: str, kept: str) -> None:
    assert secrecy.without_secrets(text) == kept


def test_results_stay_json() -> None:
    text = json.dumps({"error": 'QEMU: "password=a\\b" and secret=x', "n": 1})
    assert json.loads(secrecy.without_secrets(text))["n"] == 1


def test_a_guests_console_is_its_tenants() -> None:
    log = (
        "1.0 h q: login: root\n2.0 h q: life n=1 boot=b\n2.5 h q: my password is x\n"
        "no stamp life n=2 boot=b\n3.0 h q: life n=\u0663 boot=b\n4.0 h q: life n=5 boot=b"
    )
    assert secrecy.heartbeats_alone(log) == "2.0 h q: life n=1 boot=b\n4.0 h q: life n=5 boot=b\n"
    assert (
        secrecy.heartbeats_alone("1.0 h q: alive 7 in c\n2.0 h q: x", r"alive (\d+) in (\w)")
        == "1.0 h q: alive 7 in c\n"
    )
    assert secrecy.heartbeats_alone("") == ""
