# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Whether a boot would wait for a person. Pure.

At an encrypted volume that nothing else opens."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from .crypttab import RANDOM
from .finding import Finding
from .locked_volumes import Locked
from .luks_header import MOVING_PCRS, Token

ASKING = ("askpass", "decrypt_keyctl", "decrypt_gnupg", "decrypt_gnupg-sc", "decrypt_opensc", "decrypt_ssl")
"""Key scripts that ask somebody (Debian, /lib/cryptsetup/scripts)."""
YES = ("yes", "true", "1", "on", "y", "t")
FIX = (
    "give it a key that needs nobody (systemd-cryptenroll --tpm2-device=auto, clevis luks bind, or a key file in the "
    "initrd) and make the initrd anew, or name the volume in allow_passphrase when its boot is attended"
)


def check(locked: Sequence[Locked], allowed: Sequence[str]) -> Iterator[Finding]:
    """Refusals: volumes at which the new kernel's boot would stop."""
    for one in locked:
        why = asks(one)
        if why is not None and one.name not in allowed:
            yield Finding("passphrase", f"the new kernel would wait for a person: {_who(one)}: {why}", FIX)


def warnings(locked: Sequence[Locked], allowed: Sequence[str]) -> Iterator[Finding]:
    """Volumes of which the initrd does not show whether they open."""
    for one in locked:
        if one.name not in allowed and asks(one) is None and _unknown(one):
            problem = f"{_who(one)}: whether the initrd opens it is not known, as no lsinitramfs or lsinitrd lists it"
            yield Finding("passphrase-unknown", problem, "see that it does, as the new kernel may wait for a person")


def _who(one: Locked) -> str:
    use = (
        f"{' and '.join(one.needed_for)} {'is' if len(one.needed_for) == 1 else 'are'} on"
        if one.needed_for
        else "a boot waits for"
    )
    return f"{use} encrypted volume {one.name}"


def _unknown(one: Locked) -> bool:
    return (one.key is not None and one.key_there is None) or (_has(one, "clevis") and one.clevis is None)


def asks(one: Locked) -> str | None:
    """Why somebody would be asked at the boot, None when nobody is.

    In the order of crypttab(5), KEY ACQUISITION.
    """
    options, key = one.options, one.key
    if one.needed_for and one.entry is None and not one.early:
        return "no line of /etc/crypttab opens it"
    if one.needed_for and "noauto" in options:
        return "it is noauto in /etc/crypttab"
    if "keyscript" in options:
        name = os.path.basename(options["keyscript"])
        return f"its key script {name} asks for a passphrase" if name in ASKING else None
    if key is not None:
        where = "in the new kernel's initrd" if one.early else "on this host"
        return f"its key file {key} is not {where}" if one.key_there is False and key not in RANDOM else None
    return None if one.key_there else _by_token(one)


def _by_token(one: Locked) -> str | None:
    options = one.options
    if options.get("tpm2-device"):
        if options.get("tpm2-pin") in YES:
            return "its TPM wants a PIN"
        return _sealed([token for token in one.tokens if token.kind == "systemd-tpm2"])
    if "fido2-device" in options:
        return "its FIDO2 token has to be touched"
    if "pkcs11-uri" in options:
        return "its smart card wants a PIN"
    if _has(one, "clevis"):
        if one.clevis is False:
            return f"clevis would open it, and is not {'in the initrd' if one.early else 'installed as a unit'}"
        return _sealed([token for token in one.tokens if token.kind == "clevis"])
    return "nothing but a passphrase opens it"


def _sealed(tokens: Sequence[Token]) -> str | None:
    """Why no token opens it after a kexec.

    None when one does, or none is known."""
    reasons = []
    for token in tokens:
        moving = sorted(set(token.pcrs) & set(MOVING_PCRS))
        if not moving and not token.pin:
            return None
        registers = ", ".join(str(pcr) for pcr in moving)
        reasons.append(
            f"its key is sealed against PCR {registers}, which a kexec does not reset"
            if moving
            else "its TPM wants a PIN"
        )
    return reasons[0] if reasons else None


def _has(one: Locked, kind: str) -> bool:
    return any(token.kind == kind for token in one.tokens)
