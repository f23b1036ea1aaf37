# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Played modules and programs of a host that is deployed to.

They read and write files below `FAKE_HOST`.
"""

from __future__ import annotations

OLD, NEW = "6.1.0-18-amd64", "6.12.9-kvmfleet1"
BOOT_ENTRY = """#!/usr/bin/python
import json, os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
HOST = os.environ["FAKE_HOST"]
with open(os.path.join(HOST, "boot.json")) as file:
    answer = json.load(file)
kept = os.path.join(HOST, "wanted.json")
wanted = json.load(open(kept)) if os.path.exists(kept) else None
if "unknown" in answer:
    module.fail_json(msg=answer["unknown"])
with open(os.path.join(HOST, "asked"), "a") as file:
    file.write("%s %s\\n" % (module.params["default"], module.params["allow_unproven"]))
release = module.params["default"]
if release and not module.check_mode:
    start = {"entry": release, "kernel": "/boot/vmlinuz-" + release, "release": release, "pinned": True, "missing": []}
    answer.update(default=start, next=start)
    with open(os.path.join(HOST, "boot.json"), "w") as file:
        json.dump(answer, file)
if not module.check_mode and (release or (module.params["keep"] and wanted is None)):
    wanted = {"kernel": answer["default"]["kernel"], "release": answer["default"]["release"]}
    with open(kept, "w") as file:
        json.dump(wanted, file)
answer.setdefault("replaced", os.path.exists(os.path.join(HOST, "replaced")))
with open(os.path.join(HOST, "running")) as file:
    runs = file.read().strip() == answer["default"]["release"] and not os.path.exists(os.path.join(HOST, "older-build"))
module.exit_json(changed=bool(release), wanted=wanted, runs=runs, **answer)
"""
BOOT_TRIAL = """#!/usr/bin/python
import json, os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
HOST = os.environ["FAKE_HOST"]
def load(name, other):
    path = os.path.join(HOST, name)
    return json.load(open(path)) if os.path.exists(path) else other
state = module.params["state"]
if state != "read":
    with open(os.path.join(HOST, "acts"), "a") as file:
        file.write("%s\\n" % state)
    with open(os.path.join(HOST, "trial.json"), "w") as file:
        json.dump({"phase": state, "reason": "", "release": module.params["release"]}, file)
found = load("trial.json", None)
runs = open(os.path.join(HOST, "running")).read().strip() != "OLD"
module.exit_json(changed=state != "read", trial=found, runs=runs, vms=load("vms.json", []))
""".replace("OLD", OLD)
NODE_PROGRAM = """#!/usr/bin/python
from ansible.module_utils.basic import AnsibleModule
AnsibleModule(argument_spec={}, supports_check_mode=True).exit_json(changed=False)
"""
PLAYED = """
from ansible.plugins.connection.local import Connection as Local
DOCUMENTATION = 'name: played\\nshort_description: this machine, by another name\\ndescription: it\\nauthor: me\\n'
class Connection(Local):
    transport = "kvmfleet.sriov.played"
"""
"""`reboot` refuses a local connection."""
SHOWN = "Id=x\\nLoadState=loaded\\nActiveState=inactive\\nUnitFileState=disabled"
KERNEL_CHECK = """#!/usr/bin/python
import json, os
from ansible.module_utils.basic import AnsibleModule
module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
here = os.environ["FAKE_HOST"]
problems = os.path.join(here, "problems-%s" % module.params["before"])
if os.path.exists(problems):
    with open(problems) as file:
        module.fail_json(msg=file.read())
there = {name: os.path.exists(os.path.join(here, name)) for name in ("installed", "damaged", "interrupted")}
module.exit_json(
    changed=False, installed=there["installed"] and not there["damaged"], packages_installed=there["installed"],
    initrd="", running="", interrupted=there["interrupted"]
)
"""
PROGRAMS = {
    "uname": 'cat "$FAKE_HOST/running"',
    "dpkg-query": """case "$1 $2" in
--search*) echo "linux-image-6.1.0-18-amd64:amd64, linux-base+x: /boot/vmlinuz-6.1.0-18-amd64";;
*Version*) cat "$FAKE_HOST/installed" 2>/dev/null || exit 1;;
*) cut -d' ' -f1,3 "$FAKE_HOST/installed" 2>/dev/null || exit 1;;
esac""",
    "apt-get": """printf '%s|' "$@" "$DEBIAN_FRONTEND" "$NEEDRESTART_SUSPEND" >>"$FAKE_HOST/apt"
case "$*" in
*update) exit 0;;
*download*) cp "$FAKE_HOST/repository.deb" "linux-image_1_amd64.deb"; exit;;
esac
invoke() { # HOOK WORD...: run what apt was given for that time, as apt-get does
  hook="DPkg::$1::="; shift
  for word; do
    case $word in
    "$hook"*) sh -c "${word#"$hook"}" || { echo "E: Problem executing $hook" >&2; exit 100; };;
    esac
  done
}
echo "--install $*" | tr '\\n' ' ' >>"$FAKE_HOST/dpkg.log"; echo >>"$FAKE_HOST/dpkg.log"
invoke Pre-Invoke "$@"
when=$(cat "$FAKE_HOST/cut" 2>/dev/null)
case $when in
before) cut-power;;
amid) echo linux-image 1 half-installed >"$FAKE_HOST/installed"; cut-power;;
esac
sh "$FAKE_HOST/dpkg.sh"; status=$?
invoke Post-Invoke "$@"
test "$when" != after || cut-power
exit $status""",
    "cut-power": 'rm -f "$FAKE_HOST/cut"; kill -9 -"$(cat "$FAKE_HOST/controller")"; kill -9 0',
    "dpkg": """echo "$@" >>"$FAKE_HOST/dpkg.log"
case $1 in
--remove)
  rm -f "$FAKE_HOST/installed"
  test ! -e "$FAKE_HOST/before.json" || cp "$FAKE_HOST/before.json" "$FAKE_HOST/boot.json";;
esac""",
    "systemctl": 'echo "$@" >>"$FAKE_HOST/systemctl.log"; '
    f'case $1 in show) printf "{SHOWN}";; is-enabled) exit 1;; esac',
}
