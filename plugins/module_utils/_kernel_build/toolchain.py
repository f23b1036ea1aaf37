# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs and environment variables that decide what a build makes.

Both are parts of the key. A variable that stands in none of the lists here does not reach make.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass

from .._model.errors import SriovError

HARMLESS = ("PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR", "XDG_CACHE_HOME")
"""Variables that find programs and folders, and change no package.

So do those that begin with CCACHE_.
"""
SETTINGS = (
    "ARCH", "CROSS_COMPILE", "LLVM", "LLVM_IAS", "LD_LIBRARY_PATH", "SOURCE_DATE_EPOCH",
    "KCFLAGS", "KCPPFLAGS", "KAFLAGS", "KRUSTFLAGS", "HOSTCFLAGS", "HOSTLDFLAGS", "KBUILD_DEBARCH",
)  # fmt: skip
"""Variables that operators set, and kbuild reads (Documentation/kbuild/kbuild.rst, llvm.rst)."""
PROGRAMS = ("CC", "HOSTCC", "LD", "AR", "NM", "OBJCOPY", "STRIP", "PAHOLE")
"""Variables that kbuild assigns itself: they count on make's command line alone."""
PACKAGES = {"compiler": "build-essential", "linker": "binutils", "objcopy": "binutils", "make": "build-essential"}
"""Programs that every build needs, and Debian's packages of them."""


@dataclass(frozen=True)
class Toolchain:
    """Programs with their versions, and variables that were set.

    ``versions``: the first line of ``--version``, empty for one that is missing; ``settings``: for make's environment;
    ``programs``: for its command line; ``harmless``: for its environment, no part of the key.
    """

    versions: Mapping[str, str]
    settings: Mapping[str, str]
    programs: Mapping[str, str]
    harmless: Mapping[str, str]

    @property
    def key(self) -> list[object]:
        """The parts of a build's key."""
        return [sorted(self.versions.items()), sorted(self.settings.items()), sorted(self.programs.items())]

    @property
    def arguments(self) -> list[str]:
        """Words for make's command line."""
        return [f"{name}={value}" for name, value in sorted(self.programs.items())]


def read(variables: Mapping[str, str] | None = None, rust: bool = False) -> Toolchain:
    """Look for the programs that these variables choose.

    ``variables``: the environment, where none are given. ``rust``: whether the configuration asks for it; else its
    compiler decides nothing. Raises SriovError naming the package when a program is missing that every build needs.
    """
    variables = os.environ if variables is None else variables
    settings = {name: variables[name] for name in SETTINGS if variables.get(name)}
    programs = {name: variables[name] for name in PROGRAMS if variables.get(name)}
    harmless = {key: value for key, value in variables.items() if key in HARMLESS or key.startswith("CCACHE_")}
    commands = _commands({**settings, **programs})
    commands.update({"rustc": "rustc", "bindgen": "bindgen"} if rust else {})
    versions = {use: _version(command, harmless) for use, command in commands.items()}
    for use, package in PACKAGES.items():
        if not versions[use]:
            raise SriovError(f"cannot run the {use} '{commands[use]}' on the build host: apt install {package}")
    return Toolchain(versions, settings, programs, harmless)


def _commands(chosen: Mapping[str, str]) -> dict[str, str]:
    """Command of each program, as kbuild's Makefile chooses it."""
    llvm = chosen.get("LLVM", "")
    before = llvm if llvm.endswith("/") else ""
    after = llvm if llvm.startswith("-") else ""
    cross = chosen.get("CROSS_COMPILE", "")
    if llvm:
        names = {
            "CC": f"{before}clang{after}",
            "LD": f"{before}ld.lld{after}",
            "OBJCOPY": f"{before}llvm-objcopy{after}",
        }
    else:
        names = {"CC": f"{cross}gcc", "LD": f"{cross}ld", "OBJCOPY": f"{cross}objcopy"}
    names["HOSTCC"] = f"{before}clang{after}" if llvm else "gcc"
    names.update((name, chosen[name]) for name in (*names, "PAHOLE") if name in chosen)
    return {
        "compiler": names["CC"], "host compiler": names["HOSTCC"], "linker": names["LD"], "objcopy": names["OBJCOPY"],
        "pahole": names.get("PAHOLE", "pahole"), "make": "make",
    }  # fmt: skip


def _version(command: str, variables: Mapping[str, str]) -> str:
    try:
        done = subprocess.run(
            [*shlex.split(command), "--version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**variables, "LC_ALL": "C"},
            check=False,
        )
    except OSError:
        return ""
    text = done.stdout.decode("utf-8", "replace").strip() if done.returncode == 0 else ""
    return re.sub(r"\s+", " ", text.splitlines()[0]) if text else ""
