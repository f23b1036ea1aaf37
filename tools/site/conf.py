# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of Sphinx for the site of guides and plugins (`tools/docs`)."""

from __future__ import annotations

project = "kvmfleet.sriov"
project_copyright = "kvmfleet.sriov contributors"
extensions = ["myst_parser", "sphinx_antsibull_ext"]
myst_heading_anchors = 4
highlight_language = "none"
html_theme = "alabaster"
html_copy_source = False
html_show_sourcelink = False
html_use_index = False
