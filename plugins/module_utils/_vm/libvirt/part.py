# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The part of the manifest that brings a domain back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from typing import Any

from ..._model.errors import BadInputError
from ..._tools import bounded_xml
from ..._tools.domain_xml import UUID
from ..._tools.whole_domain import PCI
from ..record import ManifestVm
from ..vm_facts import VmFacts
from . import attachable
from .facts import LibvirtFacts


@dataclass(frozen=True)
class LibvirtPart:
    """libvirt's part of the manifest.

    ``domain``: its name; ``devices``: XML that attaches a VF again at the same place, by the VF's address;
    ``images``: names of all images. ``autostart``, ``autostart_once``: whether it starts with the host;
    ``definition``: XML that starts a transient domain anew, empty for a persistent one.
    """

    uuid: str
    domain: str
    devices: Mapping[str, str]
    images: tuple[str, ...] = ()
    autostart: bool = False
    autostart_once: bool = False
    definition: str = ""

    @property
    def transient(self) -> bool:
        return bool(self.definition)

    @classmethod
    def made(cls, vm: VmFacts) -> LibvirtPart:
        """Make the part of a running domain."""
        facts = LibvirtFacts.of(vm)
        mine = {vf.address for vf in vm.vfs}
        devices = [one for one in facts.domain.host_devices if one.kind == PCI and one.address in mine]
        return cls(
            facts.domain.uuid, facts.domain.name, {one.address: attachable.by_address(one.xml) for one in devices},
            tuple(image.name for image in vm.images), facts.info.autostart, facts.info.autostart_once, facts.definition,
        )  # fmt: skip

    @classmethod
    def parse(cls, data: Mapping[str, Any], where: str) -> LibvirtPart:
        """Parse the part of a manifest.

        Raises `BadInputError` with the path of what is wrong.
        """
        known = {item.name for item in fields(cls)}
        for key in sorted(known ^ set(data)):
            raise BadInputError(f"{where}.{key}: {'missing' if key in known else 'unknown key'}")
        if not isinstance(data["uuid"], str) or not UUID.fullmatch(data["uuid"]):
            raise BadInputError(f"{where}.uuid: expected a UUID, found {data['uuid']!r}")
        if not isinstance(data["domain"], str) or not data["domain"] or "/" in data["domain"]:
            raise BadInputError(f"{where}.domain: expected the name of a domain, found {data['domain']!r}")
        rows = data["devices"]
        if not isinstance(rows, Mapping) or not all(isinstance(one, str) for pair in rows.items() for one in pair):
            raise BadInputError(f"{where}.devices: expected an object of texts, found {str(rows)[:200]}")
        for key in ("autostart", "autostart_once"):
            if not isinstance(data[key], bool):
                raise BadInputError(f"{where}.{key}: expected true or false, found {data[key]!r}")
        if data["definition"] != "":
            _require_xml(data["definition"], f"{where}.definition", "domain")
        images = data["images"]
        if not isinstance(images, (list, tuple)) or not all(isinstance(one, str) for one in images):
            raise BadInputError(f"{where}.images: expected a list of texts, found {str(images)[:200]}")
        for address, text in rows.items():
            _require_xml(text, f"{where}.devices.{address}", *attachable.ELEMENTS)
        return cls(**{**data, "images": tuple(images)})

    def require(self, vfs: Collection[str], where: str) -> None:
        """Require that each of these VFs can be attached again.

        ``vfs`` are addresses. Raises `BadInputError`.
        """
        lost = sorted(set(vfs) - self.devices.keys())
        if lost:
            raise BadInputError(f"{where}.devices: nothing that attaches VF {', '.join(lost)} again")

    def is_interface(self, address: str) -> bool:
        """Whether libvirt sets address and VLAN of a VF from its XML."""
        return bounded_xml.parse(self.devices[address], *attachable.ELEMENTS).tag == "interface"

    @classmethod
    def of(cls, vm: ManifestVm) -> LibvirtPart:
        return cls.parse(vm.part, f"VM {vm.name}")

    def to_dict(self) -> dict[str, Any]:
        """The part as in the manifest, with lists for tuples."""
        return {
            "uuid": self.uuid, "domain": self.domain, "devices": dict(self.devices),
            "images": list(self.images), "autostart": self.autostart, "autostart_once": self.autostart_once,
            "definition": self.definition,
        }  # fmt: skip


def _require_xml(text: object, where: str, *tags: str) -> None:
    if not isinstance(text, str):
        raise BadInputError(f"{where}: expected a text, found {str(text)[:200]}")
    try:
        bounded_xml.parse(text, *tags)
    except BadInputError as error:
        raise BadInputError(f"{where}: {error}") from error
