"""Kernel bases as rows of one table, and their flavours."""

from __future__ import annotations

import pytest

from lab.kernels import base, flavour
from lab.paths import REPOSITORY
from lab.progress import LabError

TABLE = """
# a comment
6.12    linux-source-6.12   6.12.117  6.12    hypervisor-6.12.config features-6.12.config
7.3     linux-source-7.3    7.3.1     -       hypervisor-7.3.config
"""


def test_a_base_is_one_row() -> None:
    bases = base.read(TABLE)
    assert list(bases) == ["6.12", "7.3"]
    assert bases["7.3"] == base.Base("7.3", "linux-source-7.3", "7.3.1", "", ("hypervisor-7.3.config",))
    assert str(bases["7.3"].archive) == "/usr/src/linux-source-7.3.tar.xz"
    with pytest.raises(LabError, match=r"kernel base 7\.3 has no series"):
        _ = bases["7.3"].patches


def test_a_row_that_lacks_something_is_named() -> None:
    with pytest.raises(LabError, match=r"row '6\.12 linux-source-6\.12' lacks one of"):
        base.read("6.12 linux-source-6.12\n")


def test_an_unknown_base_is_named_with_the_known_ones() -> None:
    assert base.named("6.12") is base.DEFAULT
    with pytest.raises(LabError, match=r"no kernel base '5\.0' .*there are: 6\.12"):
        base.named("5.0")


def test_flavours_of_the_first_base_have_short_names_others_say_theirs() -> None:
    made = flavour.of(base.read(TABLE).values())
    assert list(made) == ["stock", "series", "debug", "kcsan", "guest", "demo", "stock-7.3"]
    assert made["kcsan"].configs == ("hypervisor-6.12.config", "features-6.12.config", "kcsan.config")
    assert made["guest"].configs == ("guest-6.12.config",)
    assert made["demo"].configs == ("demo-6.12.config",)
    assert made["debug"].configs == ("hypervisor-6.12.config", "debug.config")
    assert (made["stock"].series, made["series"].series, made["demo"].series) == ("", "6.12", "6.12")
    assert made["stock-7.3"].series == ""
    assert made["stock-7.3"].base.source == "linux-source-7.3"


def test_what_is_recorded_has_neither_kcsan_nor_guests_nor_the_demo() -> None:
    assert not {"kcsan", "guest", "demo"} & {name.partition("-")[0] for name in flavour.RECORDED}
    assert "debug" in flavour.RECORDED


def test_a_base_without_a_series_has_no_patched_flavour() -> None:
    assert {one.name for one in flavour.of(base.read(TABLE).values()).values() if one.base.name == "7.3"} == {
        "stock-7.3"
    }


def test_every_file_that_a_base_names_is_there() -> None:
    for one in flavour.FLAVOURS.values():
        assert [name for name in one.configs if not (base.CONFIGS / name).is_file()] == []
        assert not one.base.series or (one.base.patches / "series").is_file()


def test_what_the_bisected_builds_rest_on_has_its_additions_elsewhere() -> None:
    """The configuration of the bisected builds, and later additions elsewhere.

    The builds' record covers over an hour of builds: hypervisor-6.12.config stays, additions have a file of their own.
    """
    assert base.DEFAULT.configs == ("hypervisor-6.12.config", "features-6.12.config")


def test_no_other_file_of_the_lab_or_the_tools_of_the_series_says_which_bases_there_are() -> None:
    places = [*(REPOSITORY / "lab").rglob("*.py"), *(REPOSITORY / "lab/playbooks").iterdir()]
    places += [REPOSITORY / "kernel" / name for name in ("bisect", "check", "tree")]
    assert [str(path) for path in places if base.DEFAULT.name in path.read_text()] == []
