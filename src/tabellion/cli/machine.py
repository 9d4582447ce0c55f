"""What `tabellion doctor` looks at on this machine: interpreter, data directory, disks, key, addresses."""

import pwd
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tabellion.platform import secrets
from tabellion.server.claim import served_at
from tabellion.server.embedded import EmbeddedPostgresError
from tabellion.server.port import CannotListen, check_intake_port, check_port
from tabellion.server.supervisor import answers
from tabellion.settings import Settings

_GIGABYTE = 1024**3
# The database's log of changes grows by pieces of 16 MB, and checkpoints keep some.
_NO_DISK_BYTES = 256 * 1024**2
_LITTLE_DISK_BYTES = 2 * _GIGABYTE
# The first releases with the fixes for ZIP64 confusion and for e-mail headers.
_PATCHED = {(3, 11): 15, (3, 12): 13, (3, 13): 12, (3, 14): 3}
_SHORT_KEY = 16
_KEY = "key of secrets"
_SERVES = "serves"
# PostgreSQL's user owns them, which is another one where root starts it.
_NOT_OURS = frozenset({"postgres", "postgres.new", "engine", "lost+found"})
RIGHTS = (
    "run it as the user whom the server runs as (sudo -u tabellion ...); or give this user the right to write there, or "
    "choose another folder with --data-dir"
)


class Finding(msgspec.Struct):
    """One thing looked at. `state`: ok, warning or problem; `advice` says what to do."""

    check: str
    state: str
    found: str
    advice: str = ""


def machine(settings: Settings) -> Iterator[Finding]:
    """All of it."""
    yield _python()
    yield from _data_dir(settings)
    yield from _disks(settings)
    port = _port(settings)
    yield port
    if settings.intake_port:
        yield _intake_port(settings, serving=port.state == "ok" and _SERVES in port.found)
    yield key(settings)


def key(settings: Settings) -> Finding:
    """The key of secrets, by its fingerprint: who compares two machines need not show it."""
    text = settings.secret_key
    if text and len(text) < _SHORT_KEY:
        advice = "who has the database could guess it: set 32 random characters or more before anything is sealed with it"
        return Finding(_KEY, "warning", f"TABELLION_SECRET_KEY has {len(text)} characters", advice)
    try:
        fingerprint = secrets.fingerprint(text, settings.data_dir)
    except secrets.KeyUnusable as error:
        return Finding(_KEY, "problem", str(error))
    except OSError as error:
        return Finding(_KEY, "problem", f"{error.filename}: {error.strerror}", RIGHTS)
    if fingerprint is None:
        return Finding(_KEY, "ok", "not made yet")
    if secrets.is_open(text, settings.data_dir):
        advice = "it opens stored passwords and seals links: chmod 600, and if somebody has: tabellion key rotate"
        return Finding(_KEY, "warning", "others on this machine may read its file", advice)
    where = "TABELLION_SECRET_KEY" if text else "in the data directory"
    return Finding(_KEY, "ok", f"{where}, fingerprint {fingerprint}")


def _python() -> Finding:
    version = sys.version_info
    found = f"Python {version.major}.{version.minor}.{version.micro}"
    patched = _PATCHED.get((version.major, version.minor), 0)
    if version.micro < patched:
        wanted = f"{version.major}.{version.minor}.{patched}"
        advice = f"lacks security fixes, unless its packager added them (Debian does); install {wanted} or later"
        return Finding("interpreter", "warning", found, advice)
    return Finding("interpreter", "ok", found)


def _data_dir(settings: Settings) -> Iterator[Finding]:
    folder = settings.data_dir.absolute()
    existing = folder
    try:
        existing = _existing(folder)
        probe = existing / ".tabellion-doctor"
        probe.touch()
        probe.unlink()
        strangers = list(_strangers(folder)) if folder.is_dir() else []
    except OSError as error:
        yield Finding("data directory", "problem", f"{existing}: {error.strerror}", RIGHTS)
        return
    if strangers:
        owner = _name_of(folder.stat().st_uid)
        names = ", ".join(f"{path.name} ({_name_of(path.lstat().st_uid)})" for path in strangers)
        advice = f"the server's user has to own what is in it: chown -R {owner} of these, or of all if that is not {owner}"
        yield Finding("data directory", "problem", f"{folder} belongs to {owner}, but not {names}", advice)
        return
    yield Finding("data directory", "ok", str(folder))


def _strangers(folder: Path) -> Iterator[Path]:
    """What another user has put there, as root does by starting the server in its user's place."""
    owner = folder.stat().st_uid
    for path in sorted(folder.iterdir()):
        if path.name not in _NOT_OURS and path.lstat().st_uid != owner:
            yield path


def _name_of(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _disks(settings: Settings) -> Iterator[Finding]:
    """Of the data directory, and of its database and spool where they are on others."""
    data = settings.data_dir.absolute()
    places = {"disk": data, "disk of the spool": settings.spool_dir.absolute()}
    if not settings.database_url:
        places["disk of the database"] = data / "postgres"
    seen: set[int] = set()
    for check, place in places.items():
        try:
            existing = _existing(place)
            device = existing.stat().st_dev
            if device not in seen:
                seen.add(device)
                yield _disk(check, shutil.disk_usage(existing).free)
        except OSError:
            continue  # said of the data directory


def _disk(check: str, free: int) -> Finding:
    found = f"{free / _GIGABYTE:.1f} GB free"
    if free < _NO_DISK_BYTES:
        advice = "make room: calls that write are answered with 503 on a full disk, and the database may not start"
        return Finding(check, "problem", found, advice)
    if free < _LITTLE_DISK_BYTES:
        return Finding(check, "warning", found, "less than 2 GB: make room before the database stops")
    return Finding(check, "ok", found)


def _existing(place: Path) -> Path:
    return next(path for path in (place, *place.parents) if path.exists())


def _port(settings: Settings) -> Finding:
    where = f"{settings.host}:{settings.port}"
    ours = _served_at(settings)
    if ours and ours != settings.own_address:
        return Finding("port", "ok", f"the server of this data directory {_SERVES} at {ours}")
    try:
        check_port(settings)
    except CannotListen as error:
        if not error.in_use:
            return Finding("port", "problem", f"{where}: {error.reason}", error.advice)
        if answers(settings):
            if ours is None and not settings.database_url:
                found = f"{where}: a Tabellion {_SERVES} here, but no tabellion serve of {settings.data_dir.absolute()}"
                return Finding("port", "warning", found, f"{error.advice}, or name that server's folder with --data-dir")
            return Finding("port", "ok", f"{where}: a Tabellion {_SERVES} here")
        return Finding("port", "problem", f"{where}: in use by another program", error.advice)
    return Finding("port", "ok", f"{where} is free")


def _served_at(settings: Settings) -> str | None:
    """Where the server of the data directory serves. Those on an own database are not known by theirs."""
    if settings.database_url:
        return None
    try:
        return served_at(settings.data_dir)
    except (OSError, EmbeddedPostgresError):
        return None  # what is wrong with the folder is told beside it


def _intake_port(settings: Settings, *, serving: bool) -> Finding:
    where = f"{settings.intake_host}:{settings.intake_port}"
    try:
        check_intake_port(settings)
    except CannotListen as error:
        if error.in_use and serving:
            return Finding("port for bounces", "ok", f"{where} is in use while a Tabellion serves")
        return Finding("port for bounces", "problem", f"{where}: {error.reason}", error.advice)
    if serving:
        advice = "bounces are taken by none: start the server again with this setting, or look into its log"
        return Finding("port for bounces", "warning", f"{where} is free while a Tabellion serves", advice)
    return Finding("port for bounces", "ok", f"{where} is free")
