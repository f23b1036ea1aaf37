"""Conformance cases by their syntax trees: names, and deciding texts.

A case's text is its function and every definition of tests/conformance/ that this reaches by name, so the program that
runs it too; comments and docstrings are left out. An edit elsewhere, or another name of a file, leaves it as it was.
What the files import from elsewhere (the standard library, the engine as packed for hosts) counts by name only.
"""

from __future__ import annotations

import ast
import hashlib
import io
import tokenize
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

RUNNER = ("run", "main")
"""File and function on the host that run every case."""
JUMP_RUNNER = ("run_jumps", "main")
"""File and function that run jumps.

Also cases that need words on the kernel's command line.
"""
Name = tuple[str, str]
"""Name of a definition: its file's stem, and its own."""


@dataclass(frozen=True)
class Source:
    """A case or jump, and the ``digest`` of its text.

    ``jumps``: it needs a kexec; ``many``: it runs on the PFs of kernel/many_vfs/.
    """

    name: str
    file: str
    jumps: bool
    many: bool
    digest: str


@dataclass
class Module:
    """A file's definitions by name, its imports, and its other statements."""

    lines: list[str]
    definitions: dict[str, list[ast.stmt]] = field(default_factory=dict)
    imports: dict[str, tuple[str, str]] = field(default_factory=dict)
    others: list[ast.stmt] = field(default_factory=list)
    uses: dict[str, list[Name]] = field(default_factory=dict)
    """Names used by a definition, once they are known."""


def sources(folder: Path) -> dict[str, Source]:
    """All cases and jumps of a folder, in their order.

    Those of its ``cases_*.py`` and ``jumps_*.py``, in the order in which they are run.
    """
    modules = {path.stem: parse(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.py"))}
    found = {}
    for stem, module in modules.items():
        for node in (node for nodes in module.definitions.values() for node in nodes):
            if (kind := marked(node)) and stem.startswith(("cases_", "jumps_")):
                one = source(modules, (stem, kind[0]), jumps=kind[1])
                found[one.name] = one
    return found


def marked(node: ast.stmt) -> tuple[str, bool] | None:
    """(function, whether it needs a kexec) of a case or jump.

    Marked with `@case(...)` or `@jump(...)`; None for other statements.
    """
    if not isinstance(node, ast.FunctionDef):
        return None
    for mark in node.decorator_list:
        if isinstance(mark, ast.Call) and isinstance(mark.func, ast.Name) and mark.func.id in ("case", "jump"):
            words = any(keyword.arg == "words" for keyword in mark.keywords)
            return node.name, words or mark.func.id == "jump"
    return None


def source(modules: dict[str, Module], function: Name, *, jumps: bool) -> Source:
    """The case or jump with that (first) function."""
    stem, name = function
    halves = [other for other, nodes in modules[stem].definitions.items() if any(half_of(node, name) for node in nodes)]
    own = closure(modules, [function, *((stem, half) for half in halves)])
    runners = [RUNNER, JUMP_RUNNER] if jumps else [RUNNER]
    every = own | closure(modules, [runner for runner in runners if runner[0] in modules])
    digest = hashlib.sha256()
    for text in sorted(texts(modules, every)):
        digest.update(f"{len(text)}:{text}".encode())
    many = any(file == "many_vfs" for file, _name in own)
    return Source(name.partition("_")[2], stem, jumps, many, digest.hexdigest()[:12])


def half_of(node: ast.stmt, jump: str) -> bool:
    """Whether a definition is marked with `@JUMP.after`."""
    return isinstance(node, ast.FunctionDef) and any(
        isinstance(mark, ast.Attribute) and isinstance(mark.value, ast.Name) and mark.value.id == jump
        for mark in node.decorator_list
    )


def parse(text: str) -> Module:
    """Parse a file into definitions, imports and other statements.

    Its lines are without comments and docstrings.
    """
    tree = ast.parse(text)
    module = Module(bare(text, tree))
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module.imports |= dict(imported(node))
        elif names := list(defined(node)):
            for name in names:
                module.definitions.setdefault(name, []).append(node)
        elif not is_text(node):
            module.others.append(node)
    return module


def bare(text: str, tree: ast.Module) -> list[str]:
    """Lines without comments, empty in place of docstrings."""
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and is_text(node):
            for row in range(node.lineno, (node.end_lineno or node.lineno) + 1):
                lines[row - 1] = ""
    return lines


def is_text(node: ast.stmt) -> bool:
    """Whether a statement is only a string: a docstring."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def imported(node: ast.Import | ast.ImportFrom) -> Iterator[tuple[str, tuple[str, str]]]:
    """Names made by an import, each with its file and definition.

    The definition is empty for the file itself.
    """
    for alias in node.names:
        if isinstance(node, ast.ImportFrom):
            yield alias.asname or alias.name, (node.module or "", alias.name)
        else:
            yield alias.asname or alias.name, (alias.name, "")


def defined(node: ast.stmt) -> Iterator[str]:
    """Names defined by a statement at the top of a file."""
    if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.Assign, ast.AnnAssign, ast.AugAssign)):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            yield from (part.id for part in ast.walk(target) if isinstance(part, ast.Name) and is_stored(part))


def is_stored(name: ast.Name) -> bool:
    return isinstance(name.ctx, ast.Store)


def closure(modules: dict[str, Module], roots: Iterable[Name]) -> set[Name]:
    """Definitions reached from ``roots``, and names of imports from elsewhere."""
    found: set[Name] = set()
    waiting = list(roots)
    while waiting:
        one = waiting.pop()
        if one in found:
            continue
        found.add(one)
        waiting.extend(uses(modules, one) if one[0] in modules else [])
    return found


def uses(modules: dict[str, Module], one: Name) -> list[Name]:
    """Names used by a definition and its file's other statements.

    The latter run with it.
    """
    stem, name = one
    module = modules[stem]
    if name not in module.uses:
        nodes = [*module.definitions.get(name, []), *module.others]
        module.uses[name] = sorted({other for node in nodes for other in used(modules, stem, node)})
    return module.uses[name]


def used(modules: dict[str, Module], stem: str, node: ast.stmt) -> Iterator[Name]:
    """Names used by a statement.

    A file that is named without one of its definitions counts whole.
    """
    module = modules[stem]
    attributes = {id(part.value): part.attr for part in ast.walk(node) if isinstance(part, ast.Attribute)}
    for part in ast.walk(node):
        if not isinstance(part, ast.Name):
            continue
        if part.id in module.definitions:
            yield stem, part.id
        elif part.id in module.imports:
            file, name = module.imports[part.id]
            if name or file not in modules:
                yield file, name
            elif id(part) in attributes:
                yield file, attributes[id(part)]
            else:
                yield from ((file, every) for every in modules[file].definitions)


def texts(modules: dict[str, Module], names: set[Name]) -> set[str]:
    """Texts of definitions and of their files' other statements.

    And the names of imports from elsewhere.
    """
    found = {".".join(name) for name in names if name[0] not in modules}
    for stem in {file for file, _name in names if file in modules}:
        module = modules[stem]
        wanted = [node for file, name in names if file == stem for node in module.definitions.get(name, [])]
        found |= {text(module, node) for node in [*wanted, *module.others]}
    return found


def text(module: Module, node: ast.stmt) -> str:
    """The lines of a statement, its decorators too, without empty ones."""
    marks = node.decorator_list if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else []
    first = min([node.lineno, *(mark.lineno for mark in marks)])
    return "\n".join(filter(None, (line.rstrip() for line in module.lines[first - 1 : node.end_lineno])))
