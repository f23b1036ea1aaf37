# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pages of reports from Jinja2 templates, with autoescape."""

from __future__ import annotations

import functools
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from . import timeline

POLICY = "default-src 'none'; style-src 'unsafe-inline'"
"""Content-Security-Policy of the pages: no script runs."""
FOLDER = Path(__file__).parent / "pages"


@functools.lru_cache(maxsize=1)
def _environment() -> Environment:
    """The templates of this collection; a host gives values alone."""
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(template: str, title: str, policy: str = POLICY, **values: object) -> str:
    """A whole page.

    All ``values`` are text, which is escaped, but those of `markupsafe.Markup`.
    """
    return _environment().get_template(template).render(
        title=title, policy=Markup(policy), timeline_css=timeline.CSS, **values
    )  # fmt: skip
