"""The page of guarantees and the table of options are true."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

from concurrency.server.options import ServeOptions

ROOT = Path(__file__).resolve().parents[3]


def names(heading: str) -> str:
    """Return the name of the test of a guarantee."""
    return "test_" + re.sub(r"\W+", "_", heading.lower()).strip("_")


def test_each_guarantee_has_a_test_that_bears_its_name():
    """A title of docs/server-behaviour.md without its test is a promise that nobody keeps."""
    page = (ROOT / "docs" / "server-behaviour.md").read_text()
    tests = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        tests.update(re.findall(r"^def (test_\w+)", path.read_text(), re.MULTILINE))
    promised = [names(heading) for heading in re.findall(r"^### (.+)$", page, re.MULTILINE)]
    assert len(promised) > 40
    assert [name for name in promised if name not in tests] == []
    assert len(promised) == len(set(promised))


def test_the_page_lists_every_option():
    """docs/serving.md has the table of options as the code has it."""
    page = (ROOT / "docs" / "serving.md").read_text()
    table = page.partition("<!-- options -->\n")[2].partition("<!-- /options -->")[0]
    assert table == options_table()


def options_table() -> str:
    """Return the table; `python -m tests.concurrency.server.test_behaviour` writes it."""
    lines = ["| option | default | |", "|---|---|---|"]
    for field in fields(ServeOptions):
        name = f"`--{field.name.replace('_', '-')}`"
        if field.metadata["secret"]:
            name = f"`CONCURRENCY_{field.name.upper()}`"
        default = "off" if field.default is False else f"`{field.default}`"
        default = "" if field.default in ("", ()) else default
        lines.append(f"| {name} | {default} | {field.metadata['help']} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    path = ROOT / "docs" / "serving.md"
    head, _, rest = path.read_text().partition("<!-- options -->\n")
    tail = rest.partition("<!-- /options -->")[2]
    path.write_text(f"{head}<!-- options -->\n{options_table()}<!-- /options -->{tail}")
