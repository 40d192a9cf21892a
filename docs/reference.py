"""Write docs/reference.md from the docstrings of the public names.

python docs/reference.py [--check]
"""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import napari_emcad

PAGE = Path(__file__).with_name("reference.md")
HEAD = """# Python reference

Every public name of `napari_emcad` by docstring; `python docs/reference.py` writes this page.
"""


def main() -> int:
    """Write the page, or say whether it is current."""
    page = render()
    if "--check" in sys.argv:
        return int(PAGE.read_text(encoding="utf-8") != page)
    PAGE.write_text(page, encoding="utf-8")
    return 0


def render() -> str:
    """Return the page."""
    return "\n".join([HEAD, *(_entry(name) for name in napari_emcad.__all__)])


def _entry(name: str) -> str:
    thing = getattr(napari_emcad, name)
    lines = [f"## {name}", "", "```python", f"{name}{_signature(thing)}", "```", ""]
    lines += ["```text", inspect.getdoc(thing) or "", "```", ""]
    if inspect.isclass(thing):
        for method, member in vars(thing).items():
            if method[0] != "_" and (inspect.isfunction(member) or isinstance(member, property)):
                lines += _member(name, method, member)
    return "\n".join(lines)


def _member(owner: str, name: str, member: object) -> list[str]:
    shown = "" if isinstance(member, property) else _signature(member)
    doc = inspect.getdoc(member)
    return [f"**`{owner}.{name}{shown}`**", "", "```text", doc or "", "```", ""] if doc else []


def _signature(thing: object) -> str:
    if inspect.isclass(thing) and issubclass(thing, Exception):
        return ""
    return re.sub(r"(: |-> )'([^']*)'", r"\1\2", str(inspect.signature(thing)))


if __name__ == "__main__":
    sys.exit(main())
