"""Write the module tree in docs/architecture.md from the first docstring line of each module.

python docs/tree.py
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "architecture.md"
PACKAGE = ROOT / "src" / "napari_emcad"
START, END = "<!-- tree: python docs/tree.py -->\n", "<!-- end of tree -->\n"

LAYERS: tuple[tuple[str, ...], ...] = (
    ("model", "imaging", "annotation"),
    ("inference", "training"),
    ("io",),
    ("pipelines",),
    ("interactive",),
    ("cli", "plugin"),
)
"""Folders from the lowest layer to the highest; import-linter enforces the order."""


def main() -> int:
    """Write the page."""
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    return 0


def render(page: str) -> str:
    """Return the text of the page with an up-to-date tree."""
    before, rest = page.split(START)
    _, after = rest.split(END)
    return f"{before}{START}```\n{tree()}\n```\n{END}{after}"


def tree() -> str:
    """Return the tree as text, one line per module."""
    lines = ["src/napari_emcad/"]
    for number, folders in enumerate(LAYERS, start=1):
        for folder in folders:
            lines += ["", f"{_row(PACKAGE / folder, 0)}   (layer {number})"]
            lines += _rows(PACKAGE / folder, 1)
    return "\n".join(line.rstrip() for line in lines)


def _rows(folder: Path, depth: int) -> list[str]:
    files = sorted(path for path in folder.glob("*.py") if path.name[:2] != "__")
    lines = [_row(path, depth) for path in files]
    for child in sorted(path.parent for path in folder.glob("*/__init__.py")):
        lines += [_row(child, depth), *_rows(child, depth + 1)]
    return lines


def _row(path: Path, depth: int) -> str:
    name = f"{'    ' * depth}{path.name}{'/' if path.is_dir() else ''}"
    return f"{name:<36} {_summary(path / '__init__.py' if path.is_dir() else path)}"


def _summary(module: Path) -> str:
    doc = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return doc.split("\n")[0].rstrip(".")


if __name__ == "__main__":
    sys.exit(main())
