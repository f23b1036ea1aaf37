# Copyright (c) kvmfleet.sriov contributors
# GNU General Public License v3.0+ (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The text of a host document: JSON, or YAML."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Iterable
from typing import Any

from .._model.errors import BadInputError
from .._model.values import cut, number, printable
from .document import HostDocument, validate

LONGEST = 64 * 1024 * 1024
"""Characters of a document; one for 65,535 VFs has about a tenth."""
VARIABLE = "sriov_pfs"
"""The variable of the role, in files of an inventory."""


def from_json(text: str, where: str) -> object:
    """The value in a JSON text.

    Raises `BadInputError` for what is no JSON, for a key that is there twice, and for numbers that JSON has not.
    """
    _check_length(text, where)

    def pairs(members: Iterable[tuple[str, Any]]) -> dict[str, Any]:
        return _once(members, where)

    def whole(digits: str) -> int:
        return number(digits, -(10**10), 10**10, where)

    def unknown(name: str) -> None:
        raise BadInputError(f"{where} is not JSON: it has {name}, which is no number there")

    try:
        return json.loads(text, object_pairs_hook=pairs, parse_int=whole, parse_constant=unknown)
    except ValueError as error:
        raise BadInputError(f"{where} is not JSON: {cut(printable(str(error)))}") from error
    except RecursionError as error:
        raise BadInputError(f"{where} is nested too deeply for a host document") from error


def _check_length(text: str, where: str) -> None:
    if len(text) > LONGEST:
        raise BadInputError(f"{where} has {len(text)} characters; a host document has at most {LONGEST}")


def _once(members: Iterable[tuple[str, Any]], where: str) -> dict[str, Any]:
    """A mapping in which no key is there twice.

    JSON leaves open which one counts, and the last would take VFs away in silence.
    """
    found: dict[str, Any] = {}
    for key, value in members:
        if key in found:
            raise BadInputError(f"{where}: the key '{cut(printable(key))}' is there twice in one mapping; keep one")
        found[key] = value
    return found


def _find_packages() -> None:
    """Have the distribution's Python packages on the path.

    `sriovctl` starts without them (-S, `_node_program.SHEBANG`), and hardly ever needs one.
    """
    if importlib.util.find_spec("yaml") is None:
        import site

        site.main()


def from_yaml(text: str, where: str) -> object:
    """The value in a YAML text, of which JSON is a part.

    Raises `BadInputError` as `from_json` does, and where this machine's Python has no PyYAML.
    """
    beginning = text.lstrip()[:2]
    if beginning[:1] in ("{", "[") and beginning not in ("{{", "{%", "{#"):
        return from_json(text, where)
    _check_length(text, where)
    try:
        _find_packages()
        import yaml  # not in the standard library: most hosts have it, none needs it
    except (ImportError, ValueError):
        raise BadInputError(
            f"{where} is not JSON, and this Python has no PyYAML; install python3-yaml, or check it elsewhere"
        ) from None

    class Loader(yaml.SafeLoader):
        """A loader that takes no key twice."""

        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: ANN401 - no stubs on hosts
            keys = [self.construct_object(key, deep=True) for key, _value in node.value]
            _once(((str(key), None) for key in keys), where)
            return dict(super().construct_mapping(node, deep=deep))

    from . import templates

    Loader.add_constructor("!unsafe", lambda _loader, node: templates.Unsafe(node.value))
    try:
        return yaml.load(text, Loader)
    except (yaml.YAMLError, ValueError, TypeError) as error:
        line = templates.line_of(text)
        if line is not None:
            raise BadInputError(f"{where}, line {line}, has a template of Jinja, and {templates.FIX}") from error
        raise BadInputError(f"{where} is not YAML: {cut(printable(' '.join(str(error).split())))}") from error
    except RecursionError as error:
        raise BadInputError(f"{where} is nested too deeply for a host document") from error


def document_of(data: object) -> HostDocument:
    """The host document in ``data``, or in the role's variable there.

    Raises `BadInputError` as `validate` does.
    """
    if isinstance(data, dict) and VARIABLE in data and "pfs" not in data:
        return validate({"pfs": data[VARIABLE]})
    return validate(data)
