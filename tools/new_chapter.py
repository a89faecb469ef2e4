"""A chapter of one's own, copied from another: `python tools/new_chapter.py NAME [TEMPLATE]`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from notebook_pairs import scripts, synchronise

from segmentation.core.parameters import PROJECT_ROOT

TEMPLATE = "04_choosing_k"
LAST_OF_A_PART = re.compile(r"^(\s+- file: )(?!book/)([^/\s]+)/\d\d_\S+\n(?!\s+- file: \2/)", re.M)


def add_chapter(name: str, template: str = TEMPLATE, *, root: Path = PROJECT_ROOT) -> Path:
    """Copy a chapter under the next number, write its pair, and list it for every profile.

    Raises
    ------
    ValueError
        If the name is no plain word or taken, or there is no such template.
    """
    notebooks, contents = root / "notebooks", root / "_toc.yml"
    there = {path.stem: path for path in scripts(notebooks)}
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is no name; use small letters, digits and _, as in my_prices")
    if taken := [stem for stem in there if stem[3:] == name]:
        raise ValueError(f"there is {taken[0]} already; choose another name")
    if template not in there or not there[template].exists():
        raise ValueError(f"there is no chapter {template}; there are {', '.join(there)}")
    number = max(int(stem[:2]) for stem in there) + 1
    script = notebooks / f"{number:02d}_{name}.py"
    text = there[template].read_text(encoding="utf-8")
    title = name.replace("_", " ").capitalize()
    text = re.sub(r"^# # .*$", f"# # {title}", text, count=1, flags=re.M)
    listed = contents.read_text(encoding="utf-8")
    script.write_text(text, encoding="utf-8")
    synchronise(notebooks)
    contents.write_text(
        LAST_OF_A_PART.sub(rf"\g<0>\g<1>\g<2>/{script.stem}\n", listed), encoding="utf-8"
    )
    return script


if __name__ == "__main__":
    try:
        made = add_chapter(*[text for text in sys.argv[1:] if text] or [""])
    except ValueError as error:
        print(f"chapter: {error}.", file=sys.stderr)
        sys.exit(2)
    print(f"{made.relative_to(PROJECT_ROOT)}, its .ipynb, and a line of each part in _toc.yml")
