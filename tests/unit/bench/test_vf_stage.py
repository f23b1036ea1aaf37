"""Results of the VF stage, computed from its samples."""

from __future__ import annotations

import pytest

from bench.vf_stage import SIDES, orders, results, used_ids


@pytest.mark.parametrize(
    ("vfs", "count", "ids"),
    [(125, 5, [12, 37, 62, 87, 112]), (7, 1, [3]), (4, 4, [0, 1, 2, 3])],
)
def test_used_ids_are_spread_evenly(vfs: int, count: int, ids: list[int]) -> None:
    assert used_ids(vfs, count) == ids


def test_each_side_comes_first_in_turn() -> None:
    assert [order[0] for order in orders(3)] == list(SIDES)
    assert all(sorted(order) == sorted(SIDES) for order in orders(5))


def test_ratios_are_those_of_medians() -> None:
    samples = {
        "stock": [{"written_s": value, "used_s": value - 1} for value in (10.0, 12.0, 90.0)],
        "series": [{"engine_s": value, "process_s": value + 1} for value in (1.0, 2.0, 3.0)],
        "floor": [{"written_s": value, "used_s": value} for value in (1.0, 1.6, 9.0)],
    }
    stage = results(samples)
    assert stage["stock_all_s"] == [10.0, 12.0, 90.0]
    assert stage["stock_over_series"] == 6.0
    assert stage["stock_used_over_series"] == 5.5
    assert stage["series_over_floor"] == 1.25
