# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Rules by which the running kernel refuses to load another one.

The kernel answers EPERM to most that breaks one (kernel/kexec_core.c, kexec_load_permitted; kernel/kexec_file.c,
kimage_validate_signature), so that only reading them tells which one it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from .._model.errors import KernelError
from .._model.paths import RELEASE
from .._system.sysfs import Sysfs

LOCKDOWN = "/sys/kernel/security/lockdown"
DISABLED = "/proc/sys/kernel/kexec_load_disabled"
LIMIT = "/proc/sys/kernel/kexec_load_limit_reboot"
MARK = b"~Module signature appended~\n"
MARK_BYTES = len(MARK)
CAP_SYS_BOOT = 22
"""Number of the capability (include/uapi/linux/capability.h)."""
SIGN = (
    "sign it with a key that this kernel trusts (its own, or one enrolled with mokutil), or boot without Secure Boot "
    "and lockdown="
)


@dataclass(frozen=True)
class Rules:
    """Rules of the running kernel, by default none.

    ``lockdown``: its mode, ``none`` without one; ``limit``: loads that are left, negative for any number;
    ``signatures``: ``checked`` (a bad one is refused under lockdown), ``required``, or ``unread``.
    """

    lockdown: str = "none"
    disabled: bool = False
    limit: int = -1
    signatures: str = "unread"


def read(sysfs: Sysfs) -> Rules:
    mode = re.search(r"\[(\w+)\]", _text(sysfs, LOCKDOWN))
    limit = _text(sysfs, LIMIT)
    return Rules(
        lockdown=mode.group(1) if mode else "none",
        disabled=_text(sysfs, DISABLED) == "1",
        limit=int(limit) if re.fullmatch(r"-?\d{1,9}", limit, re.ASCII) else -1,
        signatures=_signatures(_text(sysfs, f"/boot/config-{_text(sysfs, RELEASE)}")),
    )


def _text(sysfs: Sysfs, path: str) -> str:
    """Text of a file, empty without one.

    Older kernels lack the limit; securityfs may not be mounted.
    """
    try:
        return sysfs.read(path)
    except KernelError:
        return ""


def _signatures(config: str) -> str:
    """What a kernel's configuration makes of signatures of images."""
    if not config:
        return "unread"
    options = set(config.splitlines())
    if "CONFIG_KEXEC_SIG_FORCE=y" in options:
        return "required"
    return "checked" if options & {"CONFIG_KEXEC_SIG=y", "CONFIG_KEXEC_VERIFY_SIG=y"} else "none"


def is_signed(head: bytes, tail: bytes) -> bool:
    """Whether an image has a signature, of whomever, by its ends.

    In the certificate table of its PE header (Microsoft PE format, data directory 4), or appended as modules have it.
    """
    if tail.endswith(MARK):
        return True
    begin = int.from_bytes(head[0x3C:0x40], "little")
    if head[:2] != b"MZ" or head[begin : begin + 4] != b"PE\0\0":
        return False
    optional = begin + 24
    directories = optional + (112 if head[optional : optional + 2] == b"\x0b\x02" else 96)
    return int.from_bytes(head[directories + 36 : directories + 40], "little") > 0


def broken(rules: Rules, image: str, signed: bool | None) -> Iterator[tuple[str, str, str]]:
    """(code, problem, fix) of each rule that loading ``image`` would break.

    ``signed`` is None where that could not be read, and breaks none.
    """
    if rules.disabled:
        yield "kexec-disabled", "kernel.kexec_load_disabled is 1", "set it to 0 at boot; a reboot is needed"
    if rules.limit == 0:
        problem = "kernel.kexec_load_limit_reboot is 0: no kernel may be loaded any more"
        yield "kexec-limit", problem, "leave it at -1 at boot; a reboot is needed"
    if signed is not False:
        return
    if rules.signatures == "required":
        problem = f"{image} is not signed, and the running kernel loads only signed ones (CONFIG_KEXEC_SIG_FORCE)"
        yield "kexec-unsigned", problem, "sign it with a key that this kernel trusts"
    elif rules.lockdown != "none" and rules.signatures != "none":
        problem = f"{image} is not signed, and the running kernel is locked down ({rules.lockdown})"
        yield "kexec-lockdown", problem, SIGN


def explain(sysfs: Sysfs, image: str) -> str:
    """Why loading ``image`` was answered with EPERM."""
    capabilities = re.search(r"^CapEff:\s*([0-9a-f]+)", _text(sysfs, "/proc/self/status"), re.MULTILINE)
    if capabilities and not int(capabilities.group(1), 16) >> CAP_SYS_BOOT & 1:
        return "it needs root (CAP_SYS_BOOT)"
    rules = read(sysfs)
    found = [f"{problem}: {fix}" for _code, problem, fix in broken(rules, image, signed=None)]
    if not found and rules.lockdown != "none":
        found = [f"the kernel is locked down ({rules.lockdown}) and does not trust {image}: {SIGN}"]
    return "; ".join(found) or "a security module may forbid it, see the kernel log"
