"""The documentation site is built without a warning, and its links and pictures exist."""

from __future__ import annotations

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytest.importorskip("material")

ROOT = Path(__file__).parents[1]
PAGES = {page.stem for page in (ROOT / "docs").glob("*.md")}


class Targets(HTMLParser):
    """The links, pictures and anchors of a page."""

    def __init__(self, page):
        super().__init__()
        self.links, self.pictures, self.anchors = set(), set(), set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.anchors.add(values.get("id"))
        if tag == "a" and values.get("href"):
            self.links.add(values["href"])
        if tag == "img":
            self.pictures.add(values["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site):
    return {page: Targets(page) for page in site.rglob("index.html")}


def test_every_page_is_on_the_site(site, pages):
    built = {page.parent.name for page in pages if page.parent != site} | {"index"}
    assert built >= PAGES


def test_links_within_the_site_lead_somewhere(pages):
    for page, targets in pages.items():
        for link in targets.links:
            parts = urlsplit(link)
            if parts.scheme or link.startswith("/"):
                continue
            target = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), f"{page}: {link}"
            if parts.fragment and target in pages:
                anchors = pages[target].anchors
                assert unquote(parts.fragment) in anchors, f"{page}: {link}"


def test_pictures_are_on_the_site_and_nothing_is_loaded_from_elsewhere(site, pages):
    shown = set()
    for page, targets in pages.items():
        for picture in targets.pictures:
            assert (page.parent / picture).exists(), f"{page}: {picture}"
            shown.add(Path(picture).name)
        text = page.read_text(encoding="utf-8")
        assert 'src="http' not in text
        assert 'rel="stylesheet" href="http' not in text
    ours = [*(ROOT / "docs" / "images").glob("*.png"), *(ROOT / "docs" / "figures").glob("*.png")]
    assert {picture.name for picture in ours} <= shown


def test_files_outside_of_the_documentation_are_linked_in_the_repository(pages):
    links = {link for targets in pages.values() for link in targets.links}
    folder = "https://github.com/napari-emcad/napari-emcad/blob/main/"
    files = {link.removeprefix(folder) for link in links if link.startswith(folder)}
    assert "examples/segment_an_image.py" in files
    for name in files:
        assert (ROOT / unquote(name)).exists(), name
