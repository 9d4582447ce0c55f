"""Under which system user the embedded PostgreSQL runs.

PostgreSQL refuses to run as root. Creating a system user of our own would change the machine, so a start as root
borrows an existing unprivileged one: the owner of the data, else `postgres`, else `nobody`.
"""

import os
import pwd
import stat
from pathlib import Path
from typing import NamedTuple, TypedDict

_BORROWED = ("postgres", "nobody")
_NOBODY = 65534


class ProcessOptions(TypedDict, total=False):
    """Of `subprocess.Popen`."""

    user: int
    group: int
    extra_groups: list[int]


class Owner(NamedTuple):
    """The user that owns the cluster's files. `switch`: we are root and must become this user to run PostgreSQL."""

    uid: int
    gid: int
    switch: bool

    @property
    def process_options(self) -> ProcessOptions:
        """Keyword arguments of `subprocess.Popen` that run a program as this user."""
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Make a file or directory that we just created the owner's."""
        if self.switch:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def can_search(self, directory: Path) -> bool:
        """Whether the owner can reach what lies in `directory` (by the mode bits; access lists are not looked at)."""
        return all(self._has_search_bit(part.stat()) for part in (directory, *directory.parents))

    def _has_search_bit(self, status: os.stat_result) -> bool:
        if status.st_uid == self.uid:
            return bool(status.st_mode & stat.S_IXUSR)
        if status.st_gid == self.gid:
            return bool(status.st_mode & stat.S_IXGRP)
        return bool(status.st_mode & stat.S_IXOTH)


def find_owner(*places: Path) -> Owner:
    """The user for PostgreSQL; `places` are looked at in turn (the cluster, then the data directory), if they exist."""
    if os.geteuid() != 0:
        return Owner(os.geteuid(), os.getegid(), switch=False)
    for place in places:
        if place.exists() and (status := place.stat()).st_uid != 0:
            return _switching_to(status.st_uid, status.st_gid)
    for name in _BORROWED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Owner(entry.pw_uid, entry.pw_gid, switch=True)
    return Owner(_NOBODY, _NOBODY, switch=True)


def _switching_to(uid: int, fallback_gid: int) -> Owner:
    try:
        return Owner(uid, pwd.getpwuid(uid).pw_gid, switch=True)
    except KeyError:  # containers run under numbers that have no name
        return Owner(uid, fallback_gid, switch=True)
