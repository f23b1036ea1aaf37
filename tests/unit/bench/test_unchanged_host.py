"""Times of tasks from Ansible's own report.

The playbook itself runs on this machine, without PFs.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from ansible_collections.kvmfleet.sriov.plugins.module_utils._document.document import validate
from bench import unchanged_host
from bench.unchanged_host import TASKS, documents, medians, results, seconds
from lab import playbook
from lab.fleet.fleet import load
from lab.paths import REPOSITORY
from lab.progress import LabError

REPORT = """<?xml version="1.0" ?>
<testsuites><testsuite name="unchanged_host" tests="6">
  <testcase name="[series] A host that is as declared: Bring the host to its document" time="40.5"/>
  <testcase name="[include] A host that is as declared: Check it again and again" time="0.1"/>
  <testcase name="[series] A host that is as declared: ping" time="9.0"><system-out>{}</system-out></testcase>
  <testcase name="[series] A host that is as declared: sriov_pf" time="8.5"/>
  <testcase name="[series] A host that is as declared: ping" time="4.0"/>
  <testcase name="[series] A host that is as declared: sriov_pf" time="5.25"/>
</testsuite></testsuites>
"""


def test_times_of_both_tasks_in_their_order() -> None:
    assert seconds(REPORT) == {"ping": [9.0, 4.0], "sriov_pf": [8.5, 5.25]}


def test_the_first_round_does_not_count() -> None:
    assert medians({"ping": [90.0, 4.0, 5.0, 6.0], "sriov_pf": [1.0, 7.0, 7.5, 50.0]}, 3) == {
        "ping_s": 5.0,
        "module_s": 7.5,
    }


@pytest.mark.parametrize("times", [{"ping": [1.0], "sriov_pf": []}, {"ping": [1.0] * 3, "sriov_pf": [1.0] * 2}])
def test_missing_rounds_are_an_error(times: dict[str, list[float]]) -> None:
    with pytest.raises(LabError, match="2 rounds were asked for"):
        medians(times, 1)


def test_ratio_is_that_of_medians() -> None:
    drivers = {"drivers_ping_s": 2.0, "drivers_module_s": 3.0}
    samples = {"series": [{"ping_s": 4.0, "module_s": value, **drivers} for value in (5.0, 5.5, 90.0)]}
    assert results(samples) == {
        "unchanged_host": {
            "module_s": [5.0, 5.5, 90.0],
            "ping_s": [4.0] * 3,
            "ratio": 5.5 / 4.0,
            "drivers_module_s": [3.0] * 3,
            "drivers_ping_s": [2.0] * 3,
            "drivers_ratio": 1.5,
        }
    }


def test_documents_declare_every_vf() -> None:
    target = load("bench").host("series")
    numbers, drivers = documents(target).values()
    assert [spec.hardware_vfs for spec in validate({"pfs": numbers}).pfs] == [pf.vfs for pf in target.pfs]
    (spec,) = validate({"pfs": drivers}).pfs
    assert (spec.hardware_vfs, spec.present_vfs, spec.vfs[0].to_dict()) == (125, "all", drivers[0]["vfs"][0])


def test_tasks_have_the_expected_names() -> None:
    tasks = yaml.safe_load((unchanged_host.HERE / "unchanged_host_round.yml").read_text())
    assert tuple(task["name"] for task in tasks) == TASKS
    assert "unchanged_check is changed" in tasks[1]["failed_when"]


@pytest.mark.slow
def test_the_playbook_times_checks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The playbook on this machine, with nothing declared.

    Both tasks run as they do on a lab host, but for a /run of their own.
    """
    monkeypatch.setattr(playbook, "COLLECTIONS", REPOSITORY / "build" / "src")
    hosts = tmp_path / "inventory.yml"
    python = tmp_path / "python3"
    inside = 'mount -t tmpfs tmpfs /run && exec /usr/bin/python3 "$@"'
    python.write_text(f"#!/bin/sh\nexec unshare --map-root-user --mount sh -c '{inside}' sh \"$@\"\n")
    python.chmod(0o755)
    here = {"ansible_connection": "local", "ansible_python_interpreter": str(python)}
    hosts.write_text(yaml.safe_dump({"all": {"hosts": {"here": here}}}))
    times = seconds(unchanged_host.play("here", hosts, [], tmp_path / "report", 1))
    assert medians(times, 1)["ping_s"] > 0
    assert [len(times[task]) for task in TASKS] == [2, 2]
