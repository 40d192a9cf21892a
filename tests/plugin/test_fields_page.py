"""docs/fields.md describes every field of the real panel."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(DOCS / "fields.py"))


@pytest.fixture
def fields(script, viewer, dock):
    script["open_stack"](viewer)
    return script["fields_of"](dock(viewer))


def test_the_page_is_current(script, fields):
    assert (DOCS / "fields.md").read_text(encoding="utf-8") == script["render"](fields)


def test_every_tab_has_fields_and_no_entry_is_without_a_field(fields):
    entries = yaml.safe_load((DOCS / "fields.yaml").read_text(encoding="utf-8"))
    titles = {(field.tab, field.title) for field in fields}
    assert {tab for tab, _ in titles} == {
        "Segment",
        "Teach",
        "Objects",
        "Scores",
        "Stages",
        "Model",
    }
    for tab, meanings in entries.items():
        for title in meanings:
            assert (tab, title.split(": ")[-1]) in titles, title


def test_a_field_that_is_described_nowhere_is_an_error(script, fields):
    unknown = replace(fields[0], title="Sharpness", tooltip="")
    with pytest.raises(LookupError, match="add 'Sharpness' to Segment"):
        script["render"]([*fields, unknown])
