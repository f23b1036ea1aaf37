"""What the measurement of kexec computes from its samples, and the shell text it writes."""

from __future__ import annotations

import subprocess

import pytest

from bench.kexec_stage import INIT, disable, results


def test_results_are_medians_less_the_own_control() -> None:
    samples = {
        "stock": [{"control_s": 5.0, "init_s": value, "stage_s": 10.0} for value in (25.0, 26.0, 90.0)],
        "series": [{"control_s": control, "init_s": 5.5, "stage_s": 0.5} for control in (1.0, 5.0, 6.0)],
    }
    found = results(samples, 20)
    assert found["kexec_enumeration"] == {
        "stock_s": [25.0, 26.0, 90.0],
        "series_s": [5.5, 5.5, 5.5],
        "control_s": [1.0, 5.0, 6.0],
        "stock_control_s": [5.0, 5.0, 5.0],
        "pfs": 20,
        "stock_per_pf_s": pytest.approx(1.05),
        "series_per_pf_s": pytest.approx(0.025),
    }
    kept = found["vf_stage_kept"]
    assert (kept["stock_s"], kept["series_s"]) == ([30.0, 31.0, 95.0], [1.0, 1.0, 1.0])
    assert kept["stock_over_series"] == 31.0


def test_disable_is_shell() -> None:
    subprocess.run(["sh", "-n", "-c", disable("0000:01:00.0 0000:02:00.0")], check=True)


def test_the_first_init_counts() -> None:
    log = "[    0.5] x\n[    6.123456] Run /init as init process\n[    9.0] Run /sbin/init as init process\n"
    found = INIT.search(log)
    assert found
    assert found.group(1) == "6.123456"
