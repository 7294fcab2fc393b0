"""Draw the levels of the library: `make map` writes `docs/images/levels.svg`.

The rows are those of the contracts in ``pyproject.toml`` that ``make lint`` keeps, and
what a box says is read from the code: the first line of the package and what it imports.
With ``--check`` nothing is written, and the exit code is 1 where the picture is out of date.
"""

from __future__ import annotations

import argparse
import ast
import sys
import textwrap
import tomllib
from html import escape
from pathlib import Path
from typing import Any

import grimp

__all__ = ["main", "picture"]

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "images" / "levels.svg"

_WIDTH = 1080
_GAP = 8
_LINE = 14
_CHARACTER = 6.1  # width of one, on average
_STYLE = 'font-family="sans-serif" font-size="11"'


def contracts() -> list[dict[str, Any]]:
    """Return the contracts about levels, one for each package that has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = settings["tool"]["importlinter"]["contracts"]
    return [each for each in found if each["type"] == "layers"]


def rows_of(contract: dict[str, Any]) -> list[list[str]]:
    """Return the names in each row, the highest first."""
    rows = [row.replace("|", ":").split(":") for row in contract["layers"]]
    return [sorted(name.strip(" ()") for name in row) for row in rows]


def subject(module: str) -> str:
    """Return the first sentence of a module's docstring."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n\n")[0].replace("\n", " ").replace("`", "").removesuffix("::")


def imports(graph: Any, package: str, names: list[str]) -> dict[str, set[str]]:
    """Return which siblings each part of a package imports, but for what those import anyway.

    Args:
        graph: of the imports, as grimp has it.
        package: dotted name.
        names: of its parts.
    """
    direct: dict[str, set[str]] = {}
    for name in names:
        here = f"{package}.{name}"
        modules = {here} | graph.find_descendants(here)
        found = {to for each in modules for to in graph.find_modules_directly_imported_by(each)}
        parts = {to.removeprefix(f"{package}.").split(".")[0] for to in found}
        direct[name] = (parts & set(names)) - {name}

    def reached(name: str, seen: set[str]) -> set[str]:
        for other in direct[name] - seen:
            seen.add(other)
            reached(other, seen)
        return seen

    return {
        name: {each for each in others if not any(each in reached(o, {o}) - {o} for o in others)}
        for name, others in direct.items()
    }


def _box(package: str, name: str, others: set[str], width: float) -> list[str]:
    """Return the lines of a box; the first is its title."""
    columns = int((width - 2 * _GAP) / _CHARACTER)
    text = textwrap.wrap(subject(f"{package}.{name}"), columns)
    below = textwrap.wrap(f"imports {', '.join(sorted(others))}", columns) if others else []
    return [name, *text, *below]


def _section(graph: Any, package: str, rows: list[list[str]], top: float) -> tuple[str, float]:
    """Return one package as SVG, and where it ends."""
    needed = imports(graph, package, [name for row in rows for name in row])
    parts = [f'<text x="{_GAP}" y="{top + 18}" font-size="14" font-weight="bold">{package}</text>']
    y = top + 26
    for row in rows:
        width = (_WIDTH - _GAP) / len(row) - _GAP
        boxes = [_box(package, name, needed[name], width) for name in row]
        height = max(len(lines) for lines in boxes) * _LINE + _GAP
        for number, lines in enumerate(boxes):
            x = _GAP + number * (width + _GAP)
            parts.append(
                f'<rect x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" '
                'rx="4" fill="#eef5f1" stroke="#1a7f5a"/>'
            )
            for line, text in enumerate(lines):
                weight = ' font-weight="bold"' if line == 0 else ""
                parts.append(
                    f'<text x="{x + _GAP:.0f}" y="{y + (line + 1) * _LINE:.0f}"{weight}>'
                    f"{escape(text)}</text>"
                )
        y += height + _GAP
    return "\n".join(parts), y + _GAP


def picture() -> str:
    """Return the levels of every package with a contract, as SVG."""
    graph = grimp.build_graph("concurrency", cache_dir=None)
    sections, top = [], 0.0
    for contract in contracts():
        for exception in contract.get("ignore_imports", ()):
            importer, imported = exception.split(" -> ")
            graph.remove_import(importer=importer, imported=imported)
        section, top = _section(graph, contract["containers"][0], rows_of(contract), top)
        sections.append(section)
    title = "Levels of the library: imports run down"
    head = f'viewBox="0 0 {_WIDTH} {top:.0f}" width="{_WIDTH}" height="{top:.0f}" role="img"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {head} {_STYLE}>',
            f"<title>{title}</title>",
            f'<rect width="{_WIDTH}" height="{top:.0f}" fill="#ffffff"/>',
            *sections,
            "</svg>\n",
        ]
    )


def main(arguments: list[str] | None = None) -> int:
    """Write the picture, or look whether it is the one that the code gives."""
    parser = argparse.ArgumentParser(prog="python docs/levels.py", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if it differs")
    drawn = picture()
    if not parser.parse_args(arguments).check:
        PICTURE.write_text(drawn, encoding="utf-8")
        return 0
    if PICTURE.read_text(encoding="utf-8") == drawn:
        return 0
    print("docs/images/levels.svg is out of date: `make map` draws it anew", file=sys.stderr)  # noqa: T201
    return 1


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
