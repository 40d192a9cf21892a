"""Print the size of files, functions and classes of Python packages.

    python docs/structure.py src/napari_emcad [FOLDER ...]

Functions are measured with their docstrings; methods are counted in the body of a class.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from statistics import median

_FUNCTION = (ast.FunctionDef, ast.AsyncFunctionDef)


def measure(folder: Path) -> dict[str, int]:
    """Return the figures of one package by name."""
    trees, files = [], []
    for path in folder.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        trees.append(ast.parse(text))
        files.append(len(text.splitlines()))
    nodes = [node for tree in trees for node in ast.walk(tree)]
    functions = [
        (node.end_lineno or 0) - node.lineno + 1 for node in nodes if isinstance(node, _FUNCTION)
    ]
    methods = [
        sum(isinstance(part, _FUNCTION) for part in node.body)
        for node in nodes
        if isinstance(node, ast.ClassDef)
    ]
    return {
        "files": len(files),
        "median file": round(median(files)),
        "longest file": max(files),
        "functions": len(functions),
        "median function": round(median(functions)),
        "95 % of functions": sorted(functions)[int(0.95 * len(functions))],
        "longest function": max(functions),
        "most methods": max(methods),
    }


def main() -> None:
    """Print a Markdown table with a row per folder of the command line."""
    rows = {Path(name).name: measure(Path(name)) for name in sys.argv[1:]}
    names = list(next(iter(rows.values())))
    print("| package | " + " | ".join(names) + " |")
    print("|---" * (len(names) + 1) + "|")
    for name, figures in rows.items():
        print(f"| {name} | " + " | ".join(str(figures[key]) for key in names) + " |")


if __name__ == "__main__":
    main()
