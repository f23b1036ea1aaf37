# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Commands of sriovctl, on a fake tree."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._sriovctl import cli, invocation
from tests.fake.linux.host import FakeHost

IGB, NVME = "0000:03:00.0", "0000:04:00.0"
SPEC = {"pf": NVME, "hardware_vfs": 8, "present_vfs": "2-3,5"}


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FakeHost:
    """A fake host that the program takes for its own."""
    host = FakeHost(tmp_path / "root")
    host.igb(IGB)
    host.nvme(NVME)
    monkeypatch.setattr(invocation, "machine", lambda _arguments: (host.sysfs, host.run))
    boot(host, "b1")
    return host


def boot(host: FakeHost, boot_id: str, cmdline: str = "quiet") -> None:
    (host.root / "proc/sys/kernel/random").mkdir(parents=True, exist_ok=True)
    (host.root / "proc/sys/kernel/random/boot_id").write_text(f"{boot_id}\n")
    (host.root / "proc/cmdline").write_text(f"{cmdline}\n")


def declare(host: FakeHost, *pfs: dict[str, Any]) -> None:
    path = host.root / "etc/kvmfleet-sriov/host.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"pfs": list(pfs)}))


def update_status(host: FakeHost, **status: str) -> None:
    folder = host.root / "var/lib/kvmfleet-sriov/live-update"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "status.json").write_text(json.dumps({"manifest": "m1", "time": 1.0, "message": "", **status}))


def test_check_needs_no_host(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(invocation, "machine")
    file = tmp_path / "host.yml"
    file.write_text("sriov_pfs:\n- {pf: eth0, hardware_vf: 2, vfs: [{ids: 0, mac: 52:54:00:12:34:56}]}\n")
    assert cli.main(["check", str(file)]) == 2
    assert capsys.readouterr().err.splitlines() == [
        "sriovctl: 2 mistakes:",
        "- pfs[0].hardware_vf: unknown key; did you mean 'hardware_vfs'?",
        "- pfs[0].vfs[0].mac: 41135085296 is what YAML makes of 52:54:00:12:34:56 without quotes; write "
        "'52:54:00:12:34:56' in quotes",
    ]
    assert cli.main(["check", str(file), "--json"]) == 2
    assert len(json.loads(capsys.readouterr().out)["mistakes"]) == 2
    file.write_text("pfs:\n- pf: eth0\n")
    assert cli.main(["check", str(file)]) == 0
    assert capsys.readouterr().out == "No mistakes; 1 PF declared. sriovctl plan compares it with a host.\n"


def checked(file: Path, text: str, capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    file.write_text(text)
    return cli.main(["check", str(file)]), capsys.readouterr().err


def test_check_names_what_no_host_can_have(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, said = checked(
        tmp_path / "host.yml",
        "sriov_pfs:\n- {pf: eth0, hardware_vfs: 2, present_vfs: 0-3}\n"
        "- {pf: eth1, hardware_vfs: 2, vfs: [{ids: 0, mac: '02:00:00:00:00:01'}, "
        "{ids: 1, mac: '02:00:00:00:00:01'}]}\n",
        capsys,
    )
    assert (status, said.splitlines()) == (
        2,
        [
            "sriovctl: 2 mistakes:",
            "- PF eth0: present_vfs: 2-3 is out of range: the highest one is 1; use lower ids or enable more VFs",
            "- mac 02:00:00:00:00:01 would be that of VF 0 of PF eth1 and of VF 1 of PF eth1; give one of them another",
        ],
    )


# documents with templates, what is said of each
TEMPLATES = [
    (
        "sriov_pfs:\n- {pf: eth0, hardware_vfs: '{{ vfs }}'}\n",
        "sriov_pfs[0].hardware_vfs: '{{ vfs }}' is a template of",
    ),
    ("sriov_pfs: '{{ pfs_of_model[model] }}'\n", "sriov_pfs: '{{ pfs_of_model[model] }}' is a template of Jinja, and"),
    ("pfs:\n- pf: '{% if a %}eth0{% endif %}'\n", "pfs[0].pf: "),
    (
        "a: 1 # {{ b }}\nsriov_pfs:\n- pf: {{ nic }}\n",
        "host.yml, line 3, has a template of Jinja, and only Ansible evaluates it",
    ),
    ("{% for a in b %}\n- pf: eth0\n{% endfor %}\n", "line 1, has a template of Jinja"),
]


@pytest.mark.parametrize(("text", "words"), TEMPLATES, ids=range(len(TEMPLATES)))
def test_check_names_templates_and_the_fix(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    status, said = checked(tmp_path / "host.yml", text, capsys)
    assert status == 2
    assert words in said
    assert "only Ansible evaluates it; write the value itself, or check what each host gets" in said


@pytest.mark.parametrize(
    "text",
    [
        "motd: '{{ other }}'\nsriov_pfs:\n- pf: eth0\n",
        "sriov_pfs:\n- {pf: eth0, vfs: [{ids: 0, name: !unsafe 'a{{b'}]}\n",
    ],
    ids=["another variable", "unsafe"],
)
def test_what_ansible_leaves_alone_is_no_template(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str
) -> None:
    assert checked(tmp_path / "host.yml", text, capsys) == (0, "")


def test_plan_then_apply_then_nothing(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    declare(host, SPEC)
    assert cli.main(["plan"]) == 0
    planned = capsys.readouterr().out
    assert host.sysfs.writes == []
    assert planned.splitlines() == [
        "PF            STEP    VFS    CHANGE",
        "0000:04:00.0  enable         0 -> 8",
        "0000:04:00.0  add     2-3,5  absent -> present",
        "Note: PF 0000:04:00.0: VFs 0-1,4 are absent below present ones: libvirt, netplan and the Kubernetes device "
        "plugin look at VFs only up to the first gap",
        "Nothing was changed.",
    ]
    assert cli.main(["apply"]) == 0
    assert capsys.readouterr().out.splitlines()[:-1] == planned.splitlines()[:-1]
    assert set(host.pfs[NVME].vfs) == {2, 3, 5}
    assert cli.main(["apply"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Nothing to do."


def test_json_of_plan_and_apply_agree(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    declare(host, SPEC)
    answers = []
    for command in ("plan", "apply"):
        assert cli.main([command, "--json"]) == 0
        answers.append(json.loads(capsys.readouterr().out))
    plan, apply = answers
    assert {key: apply[key] for key in plan} == plan
    assert [row["step"] for row in apply["times"]] == ["enable", "add"]


def test_document_from_file_and_stdin(
    host: FakeHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = json.dumps({"pfs": [SPEC]})
    (tmp_path / "other.json").write_text(text)
    assert cli.main(["plan", str(tmp_path / "other.json")]) == 0
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert cli.main(["plan", "-"]) == 0
    assert capsys.readouterr().out.count("enable") == 2


# the text of host.json, words on stderr
BAD = [
    ("{", "host.json is not JSON"),
    ('{"pfs": [{"pf": "eth0", "vf": 1}]}', "pfs[0].vf: unknown key"),
    ('{"pfs": [{"pf": "eth7"}]}', "PF 'eth7' is not on this host"),
    ('{"pfs": [{"pf": "eth0", "hardware_vfs": 8}]}', "it has at most 7 VFs"),
]


@pytest.mark.parametrize(("text", "words"), BAD)
def test_bad_document_is_exit_2(host: FakeHost, capsys: pytest.CaptureFixture[str], text: str, words: str) -> None:
    declare(host)
    (host.root / "etc/kvmfleet-sriov/host.json").write_text(text)
    for command in ("plan", "apply"):
        assert cli.main([command]) == 2
        assert words in capsys.readouterr().err
    assert host.sysfs.writes == []


def test_refusal_is_exit_3_and_allowing_helps(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    host.setup(host.pfs[NVME], 4, [0])
    declare(host, {"pf": NVME, "hardware_vfs": 8})
    assert cli.main(["plan"]) == 3
    assert cli.main(["apply"]) == 3
    assert host.sysfs.writes == []
    assert cli.main(["apply", "--force"]) == 3
    assert "allow it with allow_disruptive: true" in capsys.readouterr().err
    assert cli.main(["plan", "--allow-disruptive"]) == 0
    assert "Note: PF 0000:04:00.0: disabling all VFs first takes the present VFs 0 away" in capsys.readouterr().out
    assert cli.main(["apply", "--allow-disruptive"]) == 0


def test_document_may_allow_it(host: FakeHost) -> None:
    host.setup(host.pfs[NVME], 4, [0])
    declare(host, {"pf": NVME, "hardware_vfs": 8, "allow_disruptive": True})
    assert cli.main(["apply", "--boot"]) == 0
    assert (host.pfs[NVME].enabled, set(host.pfs[NVME].vfs)) == (8, set(range(8)))


def test_kernel_failure_is_exit_1(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    declare(host, SPEC)
    host.faults = {1: 5}
    assert cli.main(["apply"]) == 1
    assert "EIO" in capsys.readouterr().err


def test_another_root_runs_no_program(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    host = FakeHost(tmp_path / "root")
    host.setup(host.igb(IGB), 7, [6])
    root = ["--root", str(host.root)]
    declare(host, {"pf": IGB, "vfs": [{"ids": 6, "trust": True}]})
    assert cli.main([*root, "plan"]) == 1
    assert "is not run below another root" in capsys.readouterr().err


# status.json, boot id and command line of this boot; is VF state the update's business?
UPDATES: list[tuple[dict[str, str], str, str, bool]] = [
    ({"phase": "filling", "boot_id": "b1", "manifest": "m1"}, "b1", "quiet", True),
    ({"phase": "armed", "boot_id": "b1", "manifest": "m1"}, "b1", "quiet", True),
    ({"phase": "kexec", "boot_id": "b1", "manifest": "m1"}, "b2", "quiet kvmfleet.update=m1", True),
    ({"phase": "kexec", "boot_id": "b1", "manifest": "m1"}, "b2", "quiet", False),
    ({"phase": "kexec", "boot_id": "b1", "manifest": "m1"}, "b2", "kvmfleet.update=m2", False),
    ({"phase": "done", "boot_id": "b1", "manifest": "m1"}, "b1", "kvmfleet.update=m1", False),
    ({"phase": "failed", "boot_id": "b1", "manifest": "m1"}, "b1", "kvmfleet.update=m1", False),
]


@pytest.mark.parametrize(("status", "boot_id", "cmdline", "under_way"), UPDATES)
def test_live_update_goes_first(
    host: FakeHost,
    capsys: pytest.CaptureFixture[str],
    status: dict[str, str],
    boot_id: str,
    cmdline: str,
    under_way: bool,
) -> None:
    declare(host, SPEC)
    update_status(host, **status)
    boot(host, boot_id, cmdline)
    assert cli.main(["apply"]) == (3 if under_way else 0)
    written = list(host.sysfs.writes)
    assert bool(written) is not under_way
    assert cli.main(["apply", "--boot"]) == 0
    assert host.sysfs.writes == written
    assert ("a live update is under way" in capsys.readouterr().out) is under_way


def sample(text: str, name: str) -> str:
    return next(line.split()[-1] for line in text.splitlines() if line.startswith(f"kvmfleet_sriov_{name}"))


# what is declared, the exit status, the result
APPLIES: list[tuple[dict[str, Any], dict[int, int], int, str]] = [
    (SPEC, {}, 0, "done"),
    (SPEC, {1: 5}, 1, "failed"),
    ({"pf": IGB, "hardware_vfs": 4}, {}, 3, "refused"),
    ({"pf": "eth7"}, {}, 2, "bad_input"),
]


@pytest.mark.parametrize(("spec", "faults", "status", "result"), APPLIES)
def test_apply_leaves_metrics_however_it_ends(
    host: FakeHost,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spec: dict[str, Any],
    faults: dict[int, int],
    status: int,
    result: str,
) -> None:
    host.setup(host.pfs[IGB], 2, [0, 1])
    declare(host, spec)
    host.faults = faults
    out = tmp_path / "sriov.prom"
    assert cli.main(["apply", "--metrics", str(out)]) == status
    text = out.read_text()
    assert sample(text, f'last_apply_result{{result="{result}"}}') == "1"
    assert float(sample(text, "last_apply_timestamp_seconds")) > 0
    assert "sriovctl: no metrics" not in capsys.readouterr().err
    if status == 0:
        assert sample(text, "drift_steps") == "0"


def test_metrics_that_cannot_be_left_change_no_exit_status(
    host: FakeHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    declare(host, SPEC)
    assert cli.main(["apply", "--metrics", str(tmp_path / "none/x.prom")]) == 0
    assert "sriovctl: no metrics: cannot write" in capsys.readouterr().err
    assert set(host.pfs[NVME].vfs) == {2, 3, 5}


def test_apply_that_leaves_vfs_to_a_live_update_is_none(host: FakeHost) -> None:
    declare(host, SPEC)
    update_status(host, phase="filling", boot_id="b1", manifest="m1")
    assert cli.main(["apply", "--boot"]) == 0
    assert not (host.root / "run/kvmfleet-sriov/last_apply.json").exists()


def test_boot_applies_what_is_there_and_names_what_is_not(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    declare(host, {"pf": "0000:05:00.0", "hardware_vfs": 2}, SPEC)
    assert cli.main(["apply", "--boot", "--wait", "0"]) == 1
    shown = capsys.readouterr()
    assert shown.err == "sriovctl: after 0 s this is still missing: PF 0000:05:00.0\n"
    assert [line.split()[:2] for line in shown.out.splitlines()[1:3]] == [[NVME, "enable"], [NVME, "add"]]
    assert shown.out.splitlines()[-1].startswith("Done in ")
    assert set(host.pfs[NVME].vfs) == {2, 3, 5}
    assert json.loads((host.root / "run/kvmfleet-sriov/last_apply.json").read_text())["result"] == "failed"


def test_boot_on_a_stock_kernel(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """All VFs present on a stock kernel: a note, no failure.

    As many VFs as declared are enabled.
    """
    host = FakeHost(tmp_path / "root", "stock")
    host.nvme(NVME)
    monkeypatch.setattr(invocation, "machine", lambda _arguments: (host.sysfs, host.run))
    boot(host, "b1")
    declare(host, SPEC)
    out = tmp_path / "sriov.prom"
    note = f"PF {NVME}: the kernel's interface 'stock' cannot leave VFs 0-1,4,6-7 out: present are 0-7 instead of 2-3,5"
    for end in ("Done in ", "Nothing to do."):
        assert cli.main(["apply", "--boot", "--metrics", str(out)]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert lines[-2] == f"Note: {note}"
        assert lines[-1].startswith(end)
        assert (host.pfs[NVME].enabled, set(host.pfs[NVME].vfs)) == (8, set(range(8)))
    text = out.read_text()
    names = ("vfs_wanted", "vfs_present", "vfs_surplus", "drift_steps", 'last_apply_result{result="done"}')
    assert [sample(text, name) for name in names] == ["3", "8", "5", "0", "1"]
    assert 'interface="stock"' in text


def test_one_pf_that_has_got_its_driver(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    """One PF; nothing is recorded of the whole host.

    Other PFs stay as they are.
    """
    declare(host, SPEC, {"pf": IGB, "hardware_vfs": 2, "present_vfs": "all"})
    assert cli.main(["apply", "--pf", IGB]) == 2
    assert "--pf is for --boot" in capsys.readouterr().err
    assert cli.main(["apply", "--boot", "--pf", IGB]) == 0
    assert (host.pfs[IGB].enabled, host.pfs[NVME].enabled) == (2, 0)
    assert cli.main(["apply", "--boot", "--wait", "0", "--pf", "0000:05:00.0"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "Nothing to do."
    assert not (host.root / "run/kvmfleet-sriov/last_apply.json").exists()


def test_json_of_a_boot_is_one(host: FakeHost, capsys: pytest.CaptureFixture[str]) -> None:
    declare(host, SPEC)
    assert cli.main(["apply", "--boot", "--json"]) == 0
    assert [row["step"] for row in json.loads(capsys.readouterr().out)["times"]] == ["enable", "add"]
    declare(host)
    assert cli.main(["apply", "--boot", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["changed"] is False


def test_live_update_commands_get_the_root() -> None:
    assert cli.parser().parse_args(["--root", "/tree", "resume"]).root == "/tree"


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in ("status", "plan", "apply", "metrics", "export", "resume"):
        with pytest.raises(SystemExit) as caught:
            cli.main([command, "--help"])
        assert caught.value.code == 0
    assert "usage: sriovctl resume" in capsys.readouterr().out


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    """That of the collection, which needs no host."""
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    galaxy = yaml.safe_load((Path(__file__).parents[5] / "galaxy.yml").read_text())
    assert (ended.value.code, capsys.readouterr().out) == (0, f"sriovctl of kvmfleet.sriov {galaxy['version']}\n")
