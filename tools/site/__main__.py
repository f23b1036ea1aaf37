# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Complete the source of the site.

Guides are copied as they are. Pages of plugins lose their references to other inventories: antsibull-docs refers to
Ansible's own documentation, whose inventory would have to be fetched.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
GUIDES = (
    "before_you_begin", "quick_start", "declaring_vfs", "declaring_vfs_examples", "moving_to_host_documents",
    "deploying_the_kernel", "live_update", "libvirt", "vm_commands", "orchestrators", "operating", "when_things_fail",
    "what_can_go_wrong", "troubleshooting",
    "security", "continuous_integration", "private_galaxy", "measurements", "glossary", "internals", "lab",
)  # fmt: skip
"""Pages of docs/, in the order of the site."""
BESIDE = ("CONTRIBUTING.md", "SECURITY.md", "CODE_OF_CONDUCT.md", "kernel/README.md")
TEXTS = ("COPYING", "LICENSES/GPL-2.0-only.txt", "LICENSES/GPL-3.0-or-later.txt")
"""Files that pages link to, as they are."""
ANSIBLE = "https://docs.ansible.com/ansible/latest"
ELSEWHERE: Mapping[str, str] = {
    "common_return_values": "reference_appendices/common_return_values.html",
    "action_plugins": "plugins/action.html",
    "ansible_configuration_settings": "reference_appendices/config.html",
    "collections_keyword": "collections_guide/collections_using_playbooks.html",
}
"""Pages of Ansible's documentation by the label that they have there."""
_REFERENCE = re.compile(r":ref:`([^`<]+?)\s*<([^`>]+)>`")
_BARE = re.compile(r":ref:`([a-z_]+)`")
_OWN = re.compile(r'<a id="([\w-]+)">')
_CORE = re.compile(r"ansible_collections\.(?!kvmfleet\.)(\w+)\.(\w+)\.(\w+)_(\w+)$")


def pages() -> list[str]:
    """Markdown pages by their paths in the checkout, README first."""
    roles = sorted(f"roles/{path.parent.name}/README.md" for path in (ROOT / "roles").glob("*/README.md"))
    return ["README.md", *(f"docs/{name}.md" for name in GUIDES), *roles, *BESIDE]


def linked(text: str) -> str:
    """``text`` with links in place of references to other inventories."""
    text = _BARE.sub(lambda found: _link(found.group(), "Ansible's documentation", found[1]), text)
    return _REFERENCE.sub(lambda found: _link(found.group(), found[1], found[2]), text)


def anchored(text: str) -> str:
    """A page whose links to its own anchors are HTML, as those."""
    own = set(_OWN.findall(text))
    return re.sub(
        r"\[([^\]\n]+)\]\(#([\w-]+)\)",
        lambda found: f'<a href="#{found[2]}">{found[1]}</a>' if found[2] in own else found.group(),
        text,
    )


def _link(whole: str, words: str, label: str) -> str:
    core = _CORE.match(label)
    if core:
        namespace, name, plugin, kind = core.groups()
        return f"`{words} <{ANSIBLE}/collections/{namespace}/{name}/{plugin}_{kind}.html>`__"
    return f"`{words} <{ANSIBLE}/{ELSEWHERE[label]}>`__" if label in ELSEWHERE else whole


def index(names: list[str]) -> str:
    """The first page: lists of guides, and of plugins and roles."""
    guides = "\n".join(name.removesuffix(".md") for name in names)
    return (
        "# kvmfleet.sriov\n\n"
        f"```{{toctree}}\n:maxdepth: 1\n:caption: Guides\n\n{guides}\n```\n\n"
        "```{toctree}\n:maxdepth: 2\n:caption: Plugins and roles\n\nplugins/index\n```\n"
    )


def main(source: Path) -> None:
    """Copy guides below ``source``, and change what antsibull-docs wrote there."""
    for name in (*pages(), *TEXTS):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(ROOT / name, source / name)
    for name in pages():
        (source / name).write_text(anchored((ROOT / name).read_text(encoding="utf-8")), encoding="utf-8")
    for page in (source / "plugins").rglob("*.rst"):
        page.write_text(linked(page.read_text(encoding="utf-8")), encoding="utf-8")
    (source / "index.md").write_text(index(pages()), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
