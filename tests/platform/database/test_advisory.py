"""Advisory locks have one number for each purpose: two purposes with one number wait for each other."""

import ast
import re
from pathlib import Path

import tabellion
from tabellion.platform.database.advisory import AdvisoryLock

SOURCE = Path(tabellion.__file__).parent
_HASHED = re.compile(r"pg_(?:try_)?advisory_xact_lock\(hashtextextended\(")
_LOCKS = re.compile(r"pg_(?:try_)?advisory_(?:xact_)?(?:un)?lock\(")


def test_no_number_is_said_twice() -> None:
    numbers = [number for path in SOURCE.rglob("*.py") for _, number in _named_as_locks(path)]
    assert len(numbers) >= len(AdvisoryLock)
    assert {number for number in numbers if numbers.count(number) > 1} == set()


def test_numbers_are_said_in_one_place() -> None:
    """Whoever takes a lock takes its number from there, or a hash of 64 bits of a text."""
    place = SOURCE / "platform/database/advisory.py"
    others = {path: names for path in SOURCE.rglob("*.py") if path != place and (names := _named_as_locks(path))}
    assert others == {}
    takers = {path: text for path in SOURCE.rglob("*.py") if _LOCKS.search(text := path.read_text())}
    assert len(takers) >= 8
    for path, text in takers.items():
        assert "AdvisoryLock." in text or "kind.lock" in text or _HASHED.search(text), f"{path}: where is its number from?"


def _named_as_locks(path: Path) -> list[tuple[str, int]]:
    """Numbers in a file that are named as locks, and those of `AdvisoryLock`."""
    found: list[tuple[str, int]] = []
    for node in ast.walk(ast.parse(path.read_text())):
        match node:
            case ast.ClassDef(name="AdvisoryLock", body=body):
                found += [
                    (target.id, value)
                    for each in body
                    if isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant)
                    for target in each.targets
                    if isinstance(target, ast.Name) and isinstance(value := each.value.value, int)
                ]
            case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=int(value))) if (
                name.lower().rpartition("_")[2] == "lock"
            ):
                found.append((name, value))
            case _:
                pass
    return found
