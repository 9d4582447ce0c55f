"""Where a data directory's cluster lies, and how clients reach its socket."""

import contextlib
import hashlib
import logging
import os
import secrets
import shlex
import stat
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import NamedTuple

from tabellion.server.postgres.errors import EmbeddedPostgresError
from tabellion.server.postgres.owner import Owner, find_owner

_log = logging.getLogger(__name__)

# Where a cluster goes when PostgreSQL's user cannot enter the data directory; kept across restarts, unlike /var/tmp.
_SHELTER = Path("/var/lib/tabellion")
SOCKET = ".s.PGSQL.5432"
# In a cluster that is linked: which data directory it belongs to. A copy of that one has the same link.
_BELONGS_TO = "data-directory"
# sockaddr_un.sun_path holds 108 bytes with the closing NUL on Linux, 104 on macOS and the BSDs.
_MAX_SOCKET_PATH = 103


class Place(NamedTuple):
    """`link` stands in the data directory; `cluster` is the real directory, `home` its parent, `owner` its user."""

    link: Path
    cluster: Path
    owner: Owner

    @property
    def home(self) -> Path:
        """Where the cluster lies, with whatever else belongs to it."""
        return self.cluster.parent


def make_data_dir(data_dir: Path) -> None:
    """Make the data directory, closed to others, unless it exists. Raises `EmbeddedPostgresError`."""
    with _usable(data_dir):
        data_dir.parent.mkdir(parents=True, exist_ok=True)
        data_dir.mkdir(mode=0o700, exist_ok=True)


def is_made(data_dir: Path) -> bool:
    """Whether the data directory has a cluster, or had one: a link to one that is gone."""
    link = data_dir / "postgres"
    return link.is_symlink() or link.exists()


def linked_cluster(data_dir: Path) -> Path | None:
    """The cluster, where it lies outside of the data directory."""
    link = data_dir / "postgres"
    return link.resolve() if link.is_symlink() and link.exists() else None


def find_place(data_dir: Path) -> Place:
    """Decide where the data directory's cluster is or shall be; call it under the start lock.

    Raises `EmbeddedPostgresError` when this user may not use it.
    """
    with _usable(data_dir):
        return _find_place(data_dir)


def socket_directory(cluster: Path) -> Path:
    """A path to the socket's directory that is short enough for a socket address; a symbolic link where need be."""
    if len(os.fsencode(cluster / SOCKET)) <= _MAX_SOCKET_PATH:
        return cluster
    for link in _links(cluster):
        with contextlib.suppress(OSError):
            if not _is_our_link(link, cluster):
                link.symlink_to(cluster)
            if _is_our_link(link, cluster):
                return link
    raise EmbeddedPostgresError(
        f"the path {cluster} is too long for a socket, and no short link to it can be made: choose a shorter --data-dir"
    )


@contextlib.contextmanager
def _usable(data_dir: Path) -> Generator[None]:
    try:
        yield
    except OSError as error:
        raise EmbeddedPostgresError(
            f"the data directory {data_dir} cannot be used by user {os.geteuid()}: {error.strerror}"
        ) from error


def version_of(cluster: Path) -> int | None:
    """The major version of PostgreSQL that a cluster was made with; None: there is none. Raises `EmbeddedPostgresError`."""
    file = cluster / "PG_VERSION"
    there = file.exists()
    # In a folder of anything else no cluster can be made.
    if not there and not (cluster.exists() and any(cluster.iterdir())):
        return None
    said = file.read_text(errors="replace").strip() if there else ""
    if not (said.isascii() and said.isdigit()):
        wrong = "names no version of PostgreSQL" if there else "is missing"
        raise EmbeddedPostgresError(
            f"{file} {wrong}: the database was damaged, or not copied to its end; copy the data directory again, or restore "
            "a backup into an empty one"
        )
    return int(said)


def _find_place(data_dir: Path) -> Place:
    link = data_dir / "postgres"
    cluster = link.resolve()
    owner = find_owner(cluster, data_dir)
    _open_to(owner, data_dir)
    if (cluster / "PG_VERSION").exists():
        _check_existing(cluster, owner)
        if link.is_symlink():
            _check_belonging(link, cluster, owner)
        return Place(link, cluster, owner)
    if link.is_symlink():
        raise EmbeddedPostgresError(
            f"{link} points to {cluster}, where there is no database: restore it there, or remove the link to begin anew"
        )
    if owner.switch and not owner.can_search(data_dir):
        cluster = _shelter(data_dir, owner) / "postgres"
    return Place(link, cluster, owner)


def mark_belonging(link: Path, cluster: Path, owner: Owner) -> None:
    """Write down in a linked cluster which data directory it belongs to."""
    partial = cluster / f"{_BELONGS_TO}.partial"
    partial.write_text(f"{link.parent.resolve()}\n")
    partial.chmod(0o600)
    owner.give(partial)
    partial.replace(cluster / _BELONGS_TO)


def remove_socket_link(cluster: Path) -> None:
    """Remove the link that `socket_directory` made, if it made one."""
    for link in _links(cluster):
        if _is_our_link(link, cluster):
            link.unlink(missing_ok=True)


def _open_to(owner: Owner, data_dir: Path) -> None:
    """Let PostgreSQL's user pass through the data directory to its cluster; it can list nothing there."""
    status = data_dir.stat()
    if not owner.switch or owner.can_search(data_dir) or status.st_uid not in {0, owner.uid}:
        return
    mode = stat.S_IMODE(status.st_mode)
    if status.st_gid in {0, owner.gid}:
        os.chown(data_dir, -1, owner.gid)
        data_dir.chmod(mode | stat.S_IXGRP)
    else:
        data_dir.chmod(mode | stat.S_IXOTH)


def _check_existing(cluster: Path, owner: Owner) -> None:
    if (uid := cluster.stat().st_uid) != owner.uid:
        raise EmbeddedPostgresError(
            f"the database in {cluster} belongs to user {uid}, and this is user {owner.uid}: "
            "run as that user or as root, or choose another --data-dir"
        )
    if owner.switch and not owner.can_search(cluster):
        raise EmbeddedPostgresError(
            f"the database in {cluster} belongs to user {uid}, who cannot enter it: a directory above it is closed. "
            f"Open it to others (chmod o+x), or run as user {uid}"
        )


def _check_belonging(link: Path, cluster: Path, owner: Owner) -> None:
    data_dir, note = link.parent.resolve(), cluster / _BELONGS_TO
    belongs_to = note.read_text().strip() if note.exists() else ""
    if not belongs_to:  # from an earlier release, or emptied by a full disk
        mark_belonging(link, cluster, owner)
    elif belongs_to != str(data_dir):
        told = f"echo {shlex.quote(str(data_dir))} >"
        raise EmbeddedPostgresError(
            f"{link} leads to {cluster}, which is the database of the data directory {belongs_to}. If that one was moved "
            f"here: {told} {shlex.quote(str(note))}. If this one is a copy of it, copy {cluster.parent} as well, let {link} "
            f"lead to the copy's postgres, and: {told} {shlex.quote(f'{link}/{_BELONGS_TO}')}"
        )


def _shelter(data_dir: Path, owner: Owner) -> Path:
    """A new directory outside the data directory. The name is random: a deleted data directory must not come back."""
    home = _SHELTER / f"{data_dir.name or 'data'}-{secrets.token_hex(4)}"
    try:
        _SHELTER.mkdir(mode=0o755, parents=True, exist_ok=True)
        home.mkdir(mode=0o710)
        os.chown(home, -1, owner.gid)
        home.chmod(0o710)
    except OSError as error:
        raise EmbeddedPostgresError(
            f"PostgreSQL does not run as root, and user {owner.uid} cannot enter {data_dir}: "
            "choose a --data-dir that others may pass through, such as /var/lib/tabellion, or start as a normal user"
        ) from error
    _log.warning("user %d cannot enter %s: the database is kept in %s, linked from there", owner.uid, data_dir, home)
    return home


def _links(cluster: Path) -> Iterator[Path]:
    name = f"tabellion-{os.geteuid()}-{hashlib.sha256(os.fsencode(cluster)).hexdigest()[:12]}"
    # Run-time directories come first: what lies in a temporary directory is swept away after some days.
    if runtime := os.environ.get("XDG_RUNTIME_DIR"):
        yield Path(runtime) / name
    if os.geteuid() == 0:
        yield Path("/run") / name
    yield Path(tempfile.gettempdir()) / name
    yield Path("/tmp") / name  # noqa: S108 - a link in it is used only if it is ours


def _is_our_link(link: Path, target: Path) -> bool:
    # A link that another user has put there could lead to a server of theirs.
    try:
        return link.lstat().st_uid == os.geteuid() and link.readlink() == target
    except OSError:
        return False
