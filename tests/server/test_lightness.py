"""A process carries what it does: large libraries are left to the processes that use them."""

import subprocess
import sys
from pathlib import Path

import pytest

LIBRARIES = (
    "phonenumbers",
    "polars",
    "liquid",
    "babel",
    "procrastinate",
    "aiosmtpd",
    "asyncssh",
    "minio",
    "mrml",
    "uvicorn",
    "lxml",
    "rich",
    "dns",
    "markdown_it",
    "pydantic",
    "attrs",
    "httpcore",
)
_APPLICATION = "from tabellion.server.app import create_app; from tabellion.settings import Settings; create_app(Settings())"


@pytest.mark.parametrize(
    ("taken", "carried"),
    [
        # The supervisor, and with it `serve`.
        ("import tabellion.server.supervisor", set()),
        ("import tabellion.cli.run", set()),
        ("import tabellion.cli.analyst", set()),
        ("import tabellion.cli.audit", set()),
        ("import tabellion.cli.pacing", set()),
        ("import tabellion.cli.jobs", {"rich", "httpcore"}),
        (_APPLICATION, {"lxml", "httpcore"}),
        ("import tabellion.server.worker", {"procrastinate", "lxml", "httpcore"}),
    ],
)
def test_what_is_imported(taken: str, carried: set[str], tmp_path: Path) -> None:
    program = f"{taken}; import sys; print(*(name for name in {LIBRARIES!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert set(run.stdout.split()) <= carried


def test_a_verb_is_found_without_the_others() -> None:
    program = (
        "import sys; sys.argv = ['tabellion', 'version']\n"
        "from tabellion.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code\n"
        "print(*(name for name in sys.modules if name.startswith(('tabellion.cli.', 'tabellion.server.app'))))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert set(run.stdout.splitlines()[-1].split()) <= {
        f"tabellion.cli.{name}" for name in ("root", "common", "refusals", "about")
    }


def test_no_authorities_are_read_before_somebody_is_called() -> None:
    program = f"{_APPLICATION}; import gc, ssl; print(sum(isinstance(each, ssl.SSLContext) for each in gc.get_objects()))"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout == "0\n"


def test_the_collector_rests_while_a_verb_is_loaded() -> None:
    program = (
        "import gc\n"
        "from tabellion.cli.root import app\n"
        "looks = []\n"
        "gc.callbacks.append(lambda *look: looks.append(look))\n"
        "app(['serve'])\n"
        "print(gc.isenabled(), len(looks))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    enabled, looks = run.stdout.split()
    # One comes right behind it, when it is allowed again; left to itself it looks a hundred times.
    assert (enabled, int(looks) < 10) == ("True", True)
