"""The embedded PostgreSQL of root and of normal users."""

import os
import pwd
import signal
from pathlib import Path

import pytest

from tests.server.postgres.conftest import ForkedUser, User, as_root, embedded_in, postmaster_pid
from tests.support.processes import is_alive


@pytest.fixture
def theirs(directory: Path) -> tuple[pwd.struct_passwd, Path]:
    """A normal user, and a folder of theirs for data."""
    nobody = pwd.getpwnam("nobody")
    data_dir = directory / "theirs"
    data_dir.mkdir(mode=0o700)
    os.chown(data_dir, nobody.pw_uid, nobody.pw_gid)
    return nobody, data_dir


@as_root
def test_a_normal_user_runs_it_and_root_may_join(theirs: tuple[pwd.struct_passwd, Path], warm: None) -> None:
    nobody, data_dir = theirs
    with ForkedUser(nobody, data_dir) as user:
        assert user.outcome.startswith("postgresql://"), user.outcome
        with embedded_in(data_dir) as embedded:
            assert embedded.url == user.outcome
            assert (data_dir / "postgres").stat().st_uid == nobody.pw_uid
    assert not embedded.is_running()

    with embedded_in(data_dir):
        assert {path.stat().st_uid for path in data_dir.iterdir()} == {nobody.pw_uid}
    with ForkedUser(nobody, data_dir) as user:
        assert user.outcome.startswith("postgresql://"), user.outcome


@as_root
def test_what_root_makes_in_the_folder_of_a_normal_user_is_theirs(
    theirs: tuple[pwd.struct_passwd, Path], warm: None
) -> None:
    nobody, data_dir = theirs
    with embedded_in(data_dir):  # as a restore does
        assert {path for path in data_dir.rglob("*") if path.lstat().st_uid != nobody.pw_uid} == set()
    with ForkedUser(nobody, data_dir) as user:
        assert user.outcome.startswith("postgresql://"), user.outcome


@as_root
def test_root_with_the_few_capabilities_of_a_container(data_dir: Path) -> None:
    kept = "+chown,+dac_override,+fowner,+fsetid,+kill,+setgid,+setuid,+setpcap,+net_bind_service,+sys_chroot"
    limits = ["setpriv", f"--bounding-set=-all,{kept}", "--inh-caps=-all"]

    first = User(data_dir, *limits)
    first.url()
    second = User(data_dir, *limits)
    second.url()
    pid = postmaster_pid(data_dir)
    os.kill(pid, signal.SIGKILL)
    third = User(data_dir, *limits)
    third.url()
    pid = postmaster_pid(data_dir)
    for user in (first, second, third):
        assert is_alive(pid)
        user.leave()

    assert not is_alive(pid)


@as_root
def test_another_users_data_are_refused_with_a_clear_message(data_dir: Path, warm: None) -> None:
    with embedded_in(data_dir), ForkedUser(pwd.getpwnam("daemon"), data_dir) as user:
        assert "postgres.start cannot be opened: Permission denied" in user.outcome
