"""Tables, JSON, picture and page: what was measured in, text out."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from bench.peers import page, plot, tables
from bench.peers.catalogue import PEERS
from bench.peers.record import Record
from bench.peers.results import Sample, figures
from bench.peers.works import WORKS

SAMPLES = [
    Sample(
        peer=peer,
        work="slow-100",
        round=0,
        rate=rate,
        steady=rate,
        p50_ms=200.0,
        p99_ms=210.5,
        errors=errors,
        cpu_ms=0.5,
        memory_mb=50.0,
        connections=100,
        client_cores=0.1,
    )
    for peer, rate, errors in (("ours", 500.0, 0), ("granian-1", 5.0, 0), ("plain", 250.0, 1234))
]
RECORD = Record(
    measured="2026-11-26T20:00:00+00:00",
    command="python -m bench.peers --rounds 1",
    seconds=5.0,
    rounds=1,
    cores={"server": [0], "others": [1]},
    database_pinned=True,
    surroundings={
        "versions": {"python": "3.11.7", "granian": "2.8.9", "fastapi": None},
        "machine": {"system": "Linux", "processor": "X", "cores": 2, "load_before": 0.2},
        "commit": "0123456789abcdef",
        "changed_files": 0,
    },
    load_after=1.5,
    samples=SAMPLES,
)


def test_a_table_has_a_line_for_each_peer() -> None:
    """Losses and errors stand there like wins, with their units."""
    lines = tables.of_work(figures(SAMPLES), "slow-100").splitlines()
    assert len(lines) == 2 + 3
    figures_of_plain = " ".join(lines[3].split()[-11:])
    assert figures_of_plain == "250 200.0 ms 210.5 ms 1234 0.50 s 50 MB 100"
    assert lines[4].startswith("granian, 1 thread ")


def test_the_table_of_idle_clients_has_their_memory() -> None:
    """A rate that was not measured is not in the table."""
    idle = Sample(peer="ours", work="idle", round=0, idle_kb=10.66, memory_mb=61.0)
    assert "10.7 kB" in tables.of_work([idle], "idle")
    assert "failed" not in tables.of_work([idle], "idle")


def test_the_overview_has_a_column_for_each_work() -> None:
    """A peer that failed is told from one that was not asked."""
    samples = [
        *SAMPLES,
        Sample(peer="ours", work="nothing", round=0, rate=4321.0),
        Sample(peer="plain", work="nothing", round=0, problem="no answer"),
    ]
    text = tables.overview(figures(samples), tables.markdown)
    _, _, first, second, third = text.splitlines()
    assert first == f"| {PEERS['ours'].title} | 4,321 | 500 |"
    assert second == f"| {PEERS['plain'].title} | failed | 250 |"
    assert third == f"| {PEERS['granian-1'].title} |  | 5.0 |"


@pytest.mark.parametrize(
    ("change", "remark"),
    [
        ({"missing": {"granian-1": "pip install 'granian'"}}, "Install it: pip install 'granian'"),
        ({"database_pinned": False}, "the database of DATABASE_URL ran on any core"),
        ({"samples": [replace(SAMPLES[0], client_cores=0.9)]}, "used 90% of a core"),
        (
            {"samples": [replace(SAMPLES[0], errors=3, statuses={"200": 5, "503": 2, "0": 1})]},
            "were errors, by status: closed without a response 1, 503 2",
        ),
        ({"samples": [Sample(peer="ours", work="one", problem="no\nlog")]}, "one short query: no."),
    ],
)
def test_what_spoils_a_figure_is_said(change: dict[str, object], remark: str) -> None:
    """Nobody has to guess why a figure is missing or odd."""
    good = replace(RECORD, samples=SAMPLES[:2])
    assert tables.remarks(good) == []
    (found,) = tables.remarks(replace(good, **change))
    assert remark in found


@pytest.mark.parametrize(("before", "after"), [(7.0, 1.5), (0.2, 30.0)])
def test_a_busy_machine_is_said(before: float, after: float) -> None:
    """Figures of a machine that had other work say so; its own load is one for each core."""
    machine = {**RECORD.surroundings["machine"], "load_before": before}
    surroundings = {**RECORD.surroundings, "machine": machine}
    busy = replace(RECORD, surroundings=surroundings, load_after=after)
    remark = tables.remarks(busy)[-1]
    assert f"load average was {before} before and {after} after" in remark


def test_json_is_read_as_it_was_written() -> None:
    """A run can be shown again without measuring; medians and limits are in it for others."""
    text = RECORD.as_json()
    assert Record.from_json(text) == RECORD
    found = json.loads(text)
    assert found["surroundings"]["versions"]["granian"] == "2.8.9"
    assert found["surroundings"]["commit"] == "0123456789abcdef"
    assert found["figures"][0]["rate"] == 500.0
    assert {"what", "value", "limit", "kept"} == set(found["limits"][0])


@pytest.mark.parametrize("text", ["{}", "[]", "no", '{"peers": 1, "figures": 1, "limits": 1}'])
def test_other_json_is_refused(text: str) -> None:
    """It is one kind of error, whatever is wrong."""
    with pytest.raises(ValueError, match=r"."):
        Record.from_json(text)


def test_the_picture_has_bars_as_long_as_the_rates() -> None:
    """It is well-formed, with a bar for each peer, and names and numbers beside them."""
    root = ElementTree.fromstring(plot.svg(figures(SAMPLES)))  # noqa: S314 - our own
    space = "{http://www.w3.org/2000/svg}"
    bars = root.findall(f"{space}g/{space}rect")
    ours, plain, granian = (float(bar.attrib["width"]) for bar in bars)
    assert ours == pytest.approx(2 * plain, abs=0.2)
    assert ours == pytest.approx(100 * granian, rel=0.02)
    texts = [text.text for text in root.iter(f"{space}text")]
    assert "0.2 s SQL, 100 clients on 100 connections" in texts
    assert {"500", "250, 1,234 errors", "5"} <= set(texts)


def test_the_picture_tells_who_opened_more_than_it_may() -> None:
    """A rate on twice the connections is not one that others could have had."""
    picture = plot.svg([replace(SAMPLES[1], connections=300)])
    assert ">5, 300 connections<" in picture
    assert "connections<" not in plot.svg([replace(SAMPLES[0], connections=101)]).replace(
        "100 connections<", ""
    )


def test_the_page_keeps_what_is_around_its_markers() -> None:
    """Prose is written by people, and figures by the command."""
    before = f"# Title\n\n{page.BEGIN}\n\nold\n\n{page.END}\n\nprose\n"
    after = page.replace(before, "new")
    assert after == before.replace("old", "new")
    assert page.replace(after, "new") == after


def test_a_page_without_markers_is_refused() -> None:
    """Figures would else be lost, or the prose."""
    with pytest.raises(ValueError, match="lacks"):
        page.replace(f"# Title\n{page.BEGIN}\n", "new")


def test_the_docs_are_written(tmp_path: Path) -> None:
    """The page names command, machine, load and versions, and the picture is beside it."""
    (tmp_path / "page.md").write_text(f"{page.BEGIN}\n{page.END}\n")
    page.write(RECORD, tmp_path / "page.md", tmp_path / "peers.svg")
    text = (tmp_path / "page.md").read_text()
    for part in (
        "`python -m bench.peers --rounds 1`",
        "2 cores",
        "before and 1.5",
        "granian 2.8.9",
    ):
        assert part in text
    assert "fastapi" not in text
    assert "| yes |" in text
    assert "### 0.2 s SQL, 100 clients on 100 connections" in text
    assert (tmp_path / "peers.svg").read_text().startswith("<svg")


def test_the_page_in_the_docs_can_be_written() -> None:
    """It has its markers, and shows a picture that is there."""
    text = page.PAGE.read_text(encoding="utf-8")
    assert page.replace(text, "x").count("x")
    assert "images/peers.svg" in text
    assert page.PICTURE.is_file()


def test_all_works_have_answers_that_differ_from_an_error() -> None:
    """A body is checked before each measurement."""
    assert all(work.body and work.path for work in WORKS.values())
