"""The map in docs/architecture.md is the code's: every folder is on it, and features are entered by their faces."""

import ast
import re
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

import tabellion

SOURCE = Path(tabellion.__file__).parent
MAP = (SOURCE.parents[1] / "docs/architecture.md").read_text().split("```")[1]
# A part of `tables` that is large enough to have a face of its own.
FACES = {"tabellion.features.tables.filters"}


def folders(parent: str) -> set[str]:
    return {path.parent.name for path in (SOURCE / parent).glob("*/__init__.py")}


def imports(path: Path) -> Iterator[tuple[str, list[str]]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, [alias.name for alias in node.names]


@pytest.mark.parametrize("parent", ["", "features", "platform"])
def test_the_map_names_every_folder_and_no_other(parent: str) -> None:
    indent = "    " if parent else "  "
    part = re.search(rf"^  {parent}/.*?\n((?:    .*\n)+)", MAP, re.MULTILINE) if parent else re.search("(?s).*", MAP)
    assert part is not None
    named = set(re.findall(rf"(?m)^{indent}(\w+)/ ", part[parent != ""]))

    assert named == folders(parent)


def test_features_are_entered_by_their_faces() -> None:
    strays = [
        f"{path.relative_to(SOURCE)}: from {module} import {', '.join(names)}"
        for path in (SOURCE / "features").rglob("*.py")
        for module, names in imports(path)
        if module.startswith("tabellion.features.")
        and module.split(".")[2] != path.relative_to(SOURCE / "features").parts[0]
        and module.count(".") > 2
        and module not in FACES
    ]

    assert strays == []


def test_no_module_takes_what_another_keeps_to_itself() -> None:
    strays = [
        f"{path.relative_to(SOURCE)}: from {module} import {name}"
        for path in SOURCE.rglob("*.py")
        for module, names in imports(path)
        for name in names
        if module.startswith("tabellion") and name.startswith("_") and not name.endswith("__")
    ]

    assert strays == []


def test_the_sources_are_found_whatever_the_letters_of_the_path_and_the_locale() -> None:
    # Python 3.11 reads these files in the encoding of the locale, and ends where LC_ALL=C has none for a letter.
    for path in Path(sysconfig.get_path("purelib")).glob("*tabellion*.pth"):
        assert path.read_text().strip() == "../../../../src"
