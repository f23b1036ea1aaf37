"""Results of the kexec measurement, and its shell command."""

from __future__ import annotations

import subprocess

import pytest

from bench.kexec_stage import INIT, disable, results


def test_results_are_medians_less_the_control_of_the_same_boot() -> None:
    samples = {
        "stock": [{"control_s": 5.0, "init_s": value, "stage_s": 10.0} for value in (25.0, 26.0, 90.0)],
        "series": [
            {"control_s": 1.0, "init_s": 1.5, "stage_s": 0.5},
            {"control_s": 5.0, "init_s": 4.9, "stage_s": 0.9},
            {"control_s": 6.0, "init_s": 9.0, "stage_s": 1.0},
        ],
    }
    found = results(samples, 20)
    assert found["kexec_enumeration"] == {
        "stock_s": [25.0, 26.0, 90.0],
        "series_s": [1.5, 4.9, 9.0],
        "control_s": [1.0, 5.0, 6.0],
        "stock_control_s": [5.0, 5.0, 5.0],
        "pfs": 20,
        "stock_per_pf_s": pytest.approx(1.05),
        "series_per_pf_s": pytest.approx(0.025),
    }
    kept = found["vf_stage_kept"]
    assert kept["stock_s"] == [30.0, 31.0, 95.0]
    assert kept["series_s"] == pytest.approx([1.0, 0.8, 4.0])
    assert kept["stock_over_series"] == pytest.approx(31.0)


def test_no_ratio_where_boots_differ_by_more() -> None:
    samples = {side: [{"control_s": 5.0, "init_s": 4.0, "stage_s": 0.5}] for side in ("stock", "series")}
    assert results(samples, 20)["vf_stage_kept"]["stock_over_series"] is None


def test_disable_is_shell() -> None:
    subprocess.run(["sh", "-n", "-c", disable("0000:01:00.0 0000:02:00.0")], check=True)


def test_the_first_init_counts() -> None:
    log = "[    0.5] x\n[    6.123456] Run /init as init process\n[    9.0] Run /sbin/init as init process\n"
    found = INIT.search(log)
    assert found
    assert found.group(1) == "6.123456"
