"""The benchmarks themselves: questions in their smallest size, of contestants that need no network."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from benchmarks import apply, growth, link, rerun, status, volume
from benchmarks.__main__ import QUESTIONS
from benchmarks.plot import Line, Plot
from benchmarks.process import Invocation, TookTooLong, measure
from benchmarks.report import PAGE
from benchmarks.stage import open_stage
from tests.site import ROOT


def test_every_question_is_answered_with_numbers() -> None:
    """The loop stands for all that compete, because it is quick; ours is asked what only it can tell."""
    with open_stage(frozenset({"bareloop"}), "fsync=off") as stage:
        compared = [
            apply.answer(apply.Sizes(files=3, rounds=1), stage),
            link.answer(link.Sizes(statements=2, milliseconds=1, rounds=1), stage),
            rerun.answer(rerun.Sizes(files=2, more=3, rounds=1), stage),
            volume.answer(volume.Sizes(rows=5, rounds=1), stage),
        ]
        told = [
            status.answer(status.Sizes(files=2, rounds=1), stage),
            growth.answer(growth.Sizes(files=100, rounds=1), stage),
        ]
        drawn = stage.pictures[growth.PICTURE]

    loop = re.findall(r"^\| bare psycopg2 loop \|.*", "\n".join(compared), re.MULTILINE)
    ours = re.findall(r"^\| (?:`(?!manage)|10).*", "\n".join(told), re.MULTILINE)
    figures = [len(re.findall(r"\| -?[\d.,]+ ", line)) for line in [*loop, *ours]]
    # Of a re-run there is no ratio, since nobody runs Django's migrate here; of COPY data the loop can make nothing.
    assert figures == [8, 6, 7, 6, 6, 0, 4, 4, 4, 4, 4, 6, 6]
    assert [
        line for answer in compared for line in answer.splitlines() if "failed:" in line and "COPY" not in line
    ] == []
    assert ElementTree.fromstring(drawn).tag.endswith("svg")


def test_what_takes_too_long_is_ended() -> None:
    with pytest.raises(TookTooLong):
        measure(Invocation(["sleep", "60"], ROOT, {}), limit_s=0.1)


def test_the_page_has_a_section_for_every_question() -> None:
    sections = re.findall(r"<!-- benchmark:([\w]+) -->\n.*?<!-- /benchmark:\1 -->", PAGE.read_text(), re.DOTALL)

    assert sorted(sections) == sorted(question.name for question in QUESTIONS)


def test_a_drawing_has_the_points_at_powers_of_ten_on_its_grid() -> None:
    line = Line("<time>", [(10, 0.1), (100, 1), (1000, 10)])
    drawing = Plot("title", "files", "seconds", "told", [line]).svg()

    points = re.findall(r'<polyline points="([^"]+)"', drawing)[0].split()
    across, upwards = (re.findall(pattern, drawing) for pattern in (r'd="M([\d.]+) 34V', r'd="M62 ([\d.]+)H'))
    assert points == [f"{x},{y}" for x, y in zip(across, upwards, strict=True)]
    assert "&lt;time&gt;" in drawing
