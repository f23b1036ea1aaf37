"""Keys of the benchmark, and results of other keys."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace

import pytest

from bench import __main__ as bench
from bench import keys
from lab.progress import LabError


@pytest.mark.parametrize(
    ("only", "steps", "sides"),
    [
        ("vf_stage", ["vf_stage"], {"stock", "series", "floor"}),
        ("kexec_enumeration", ["vf_stage", "kexec"], {"stock", "series"}),
        ("vf_stage_kept", ["vf_stage", "kexec"], {"stock", "series"}),
        ("config_reads_per_vf", ["config_reads"], {"stock", "series"}),
        ("unchanged_host", ["unchanged_host"], {"series"}),
        ("", ["vf_stage", "kexec", "config_reads", "unchanged_host"], {"stock", "series", "floor"}),
    ],
)
def test_a_key_needs_its_steps_alone(only: str, steps: list[str], sides: set[str]) -> None:
    names = keys.chosen(only)
    assert (keys.steps_of(names), keys.sides_of(names)) == (steps, sides)


def test_an_unknown_key_is_refused_with_the_list() -> None:
    with pytest.raises(LabError, match="there is no key 'vfstage'; keys: vf_stage, kexec_enumeration, "):
        keys.chosen("vfstage")


def test_each_round_boots_each_side_and_measures_its_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[tuple[str, str]] = []

    def step(name: str) -> keys.Step:
        def measure(_target: object, side: str) -> dict[str, float]:
            done.append((name, side))
            return {name: 1.0}

        return keys.Step(keys.STEPS[name].sides, measure, keys.STEPS[name].after)

    @contextlib.contextmanager
    def booted(_side: str) -> Iterator[None]:
        yield

    monkeypatch.setattr(bench, "STEPS", {name: step(name) for name in keys.STEPS})
    samples = bench.measure(SimpleNamespace(booted=booted), ["kexec_enumeration"], 2)  # type: ignore[arg-type]  # all that is used
    assert samples == {"stock": [{"vf_stage": 1.0, "kexec": 1.0}] * 2, "series": [{"vf_stage": 1.0, "kexec": 1.0}] * 2}
    assert done[:4] == [("vf_stage", "stock"), ("kexec", "stock"), ("vf_stage", "series"), ("kexec", "series")]


def test_other_keys_keep_their_results_and_their_day() -> None:
    old = {"vf_stage": {"ratio": 1, "measured_on": {"time": 1}}, "unchanged_host": {"ratio": 2}}
    found = bench.merged(old, {"unchanged_host": {"ratio": 3}}, {"time": 9})
    assert found == {
        "vf_stage": {"ratio": 1, "measured_on": {"time": 1}},
        "unchanged_host": {"ratio": 3, "measured_on": {"time": 9}},
    }
