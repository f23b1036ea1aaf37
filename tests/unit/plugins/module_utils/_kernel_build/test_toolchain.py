# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs and variables that decide what a build makes."""

from __future__ import annotations

from pathlib import Path

import pytest

from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build.make import environment
from ansible_collections.kvmfleet.sriov.plugins.module_utils._kernel_build.toolchain import PROGRAMS, SETTINGS, read
from ansible_collections.kvmfleet.sriov.plugins.module_utils._model.errors import SriovError

TOOLS = {"gcc": "gcc 12", "ld": "GNU ld 2.40", "objcopy": "GNU objcopy 2.40", "make": "GNU Make 4.3"}


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs that print their versions."""
    for name, text in TOOLS.items():
        add(tmp_path, name, text)
    return tmp_path


def add(folder: Path, name: str, version: str) -> None:
    (folder / name).write_text(f"#!/bin/sh\nprintf '%s\\n' '{version}' 'Copyright'\n")
    (folder / name).chmod(0o755)


def test_versions_are_parts_of_the_key(programs: Path) -> None:
    variables = {"PATH": str(programs)}
    before = read(variables)
    assert (before.versions["compiler"], before.versions["pahole"]) == ("gcc 12", "")
    keys = [before.key]
    for name, version in [("gcc", "gcc 13"), ("ld", "GNU ld 2.41"), ("make", "GNU Make 4.4"), ("pahole", "v1.24")]:
        add(programs, name, version)
        keys.append(read(variables).key)
    assert all(one != other for one, other in zip(keys, keys[1:]))


@pytest.mark.parametrize("name", [*SETTINGS, "CC", "PAHOLE"])
def test_each_variable_that_make_sees_is_in_the_key(programs: Path, name: str) -> None:
    value = {"LLVM": "-18", "CROSS_COMPILE": "arm-", "CC": "gcc -m64", "PAHOLE": "pahole2"}.get(name, "1")
    for tool in ("clang-18", "ld.lld-18", "llvm-objcopy-18", "arm-gcc", "arm-ld", "arm-objcopy"):
        add(programs, tool, tool)
    variables = {"PATH": str(programs)}
    assert read({**variables, name: value}).key != read(variables).key


def test_other_variables_reach_neither_key_nor_make(programs: Path) -> None:
    plain = read({"PATH": str(programs)})
    more = {
        "CFLAGS": "-O0",
        "KBUILD_BUILD_HOST": "x",
        "MAKEFLAGS": "-k",
        "KCONFIG_ALLCONFIG": "1",
        "DEB_HOST_ARCH": "i386",
    }
    tools = read({"PATH": str(programs), **more, "CCACHE_DIR": "/c", "KCFLAGS": "-g"})
    assert tools.key != plain.key
    assert read({"PATH": str(programs), **more}).key == plain.key
    made = environment("6.12-1+ab", 5, False, tools)
    assert (made["CCACHE_DIR"], made["KCFLAGS"], made["KBUILD_BUILD_HOST"]) == ("/c", "-g", "build")
    assert not {"CFLAGS", "MAKEFLAGS", "KCONFIG_ALLCONFIG", "DEB_HOST_ARCH"} & set(made)


def test_programs_go_to_the_command_line(programs: Path) -> None:
    """make ignores them in its environment, as kbuild assigns them."""
    tools = read({"PATH": str(programs), "CC": "gcc -m64"})
    assert tools.arguments == ["CC=gcc -m64"]
    assert tools.versions["compiler"] == "gcc 12"
    assert not set(PROGRAMS) & set(environment("6.12-1+ab", 5, False, tools))


def test_the_chosen_compiler_is_asked(programs: Path) -> None:
    add(programs, "clang-18", "clang 18")
    add(programs, "ld.lld-18", "LLD 18")
    add(programs, "llvm-objcopy-18", "llvm-objcopy 18")
    tools = read({"PATH": str(programs), "LLVM": "-18"})
    assert (tools.versions["compiler"], tools.versions["linker"]) == ("clang 18", "LLD 18")


def test_rust_counts_where_the_kernel_has_it(programs: Path) -> None:
    add(programs, "rustc", "rustc 1.95")
    variables = {"PATH": str(programs)}
    assert "rustc" not in read(variables).versions
    assert read(variables, rust=True).versions["rustc"] == "rustc 1.95"


def test_a_missing_program_is_named_with_its_package(programs: Path) -> None:
    (programs / "ld").unlink()
    with pytest.raises(SriovError, match="cannot run the linker 'ld' on the build host: apt install binutils"):
        read({"PATH": str(programs)})


def test_times(programs: Path) -> None:
    variables = {"PATH": str(programs)}
    assert environment("1", 5, False, read(variables))["SOURCE_DATE_EPOCH"] == "5"
    made = environment("1", 5, False, read({**variables, "SOURCE_DATE_EPOCH": "86400"}))
    assert (made["SOURCE_DATE_EPOCH"], made["KBUILD_BUILD_TIMESTAMP"]) == ("86400", "Fri Jan 02 00:00:00 UTC 1970")
