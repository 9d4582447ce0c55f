"""`tabellion backup`, `restore`, `resume`: everything in one file, a server made of it, and its waking."""

import asyncio
import shlex
import signal
import sys
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Annotated, Any

import psycopg
import typer

from tabellion.cli.common import (
    AsJson,
    DatabaseUrl,
    DataDir,
    clear_errors,
    console,
    drop_output,
    fail,
    on_database,
    settings_of,
    show,
)
from tabellion.cli.output import Force, is_standard
from tabellion.kit.clock import utc_now
from tabellion.kit.counted import counted
from tabellion.kit.newfile import full, is_full, written
from tabellion.platform.database.connection import Database
from tabellion.server.backup.errors import BackupError
from tabellion.server.backup.making import make, note
from tabellion.server.backup.manifest import SPOOL, Manifest
from tabellion.server.backup.restoring import Restored, read, require_restorable
from tabellion.server.backup.restoring import restore as restore_backup
from tabellion.server.backup.waking import HeldCampaign
from tabellion.server.backup.waking import resume as resume_server
from tabellion.server.database import open_database

_UNITS = ((1024**3, "GB"), (1024**2, "MB"), (1024, "kB"))
_KEYS = {
    "included": "in the file, which opens what it seals: keep the file where nobody else reads it",
    "left out": "left out: keep secret.key apart from this file",
    "setting": "TABELLION_SECRET_KEY, which is not in the file: keep it elsewhere",
    "none": "there is none yet",
}


def backup(
    file: Annotated[
        str, typer.Argument(help="The file to write, '-' for the standard output; by default one with the time in its name.")
    ] = "",
    verify: Annotated[
        bool, typer.Option("--verify", help="Make none: read FILE whole, compare its sums and list it.")
    ] = False,
    without_secret_key: Annotated[
        bool, typer.Option("--without-secret-key", help="Leave secret.key out, to be kept elsewhere.")
    ] = False,
    force: Force = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make one file of everything that the server keeps, while it runs or not."""
    if verify:
        _refuse_beside_verify(
            {
                "--force": force,
                "--without-secret-key": without_secret_key,
                "--data-dir": data_dir,
                "--database-url": database_url,
            }
        )
        _verify(file, as_json=as_json)
        return
    with clear_errors(), ExitStack() as stack:
        _interruptible(stack, "the backup was interrupted; nothing of it was left")
        settings, _ = open_database(settings_of(data_dir, database_url), stack)
        if is_standard(Path(file)):
            if sys.stdout.isatty():
                fail("a backup is no text: send the standard output to a file or a program")
            try:
                manifest, size = make(settings, sys.stdout.buffer, with_key=not without_secret_key)
            except BrokenPipeError:
                drop_output()
                fail("the program that the backup is sent to ended before it had all: what it has is no backup")
            except OSError as error:
                if is_full(error):
                    raise full("the standard output", "backup") from error
                raise
            note(settings.database_url, manifest, size)
            print(f"tabellion: a backup of {manifest.made_at:%H:%M:%S} UTC was written", file=sys.stderr)  # noqa: T201
            return
        path = Path(file or f"tabellion-{datetime.now(UTC):%Y%m%d-%H%M%S}.tar")
        with written(path, force=force, what="backup") as out:
            manifest, size = make(settings, out, with_key=not without_secret_key)
        note(settings.database_url, manifest, size)
        _show(_described(manifest, path), as_json=as_json)
        if manifest.missing_files:
            lacking = "no spool" if manifest.key_fingerprint else "no spool and no secret.key"
            _warn(
                f"there is {lacking} in {settings.data_dir.absolute()}: the files of {manifest.missing_files} bulk calls "
                "are not in the backup. Make it where the server's data directory is"
            )


def restore(
    file: Annotated[Path, typer.Argument(help="A file that 'tabellion backup' has written.")],
    resume_sendings: Annotated[
        bool,
        typer.Option(
            "--resume-sendings", help="Let all go on that was under way then; else it waits for 'tabellion resume'."
        ),
    ] = False,
    data_dir: DataDir = None,
    database_url: DatabaseUrl = None,
    as_json: AsJson = False,
) -> None:
    """Make a server from a backup, in a data directory (and database) that is empty."""
    with clear_errors(), ExitStack() as stack:
        _interruptible(stack, "the restore was interrupted, and what it had made was removed")
        settings = settings_of(data_dir, database_url)
        try:
            done = restore_backup(settings, file, utc_now, resume_sendings=resume_sendings)
        except psycopg.errors.DiskFull as error:
            raise BackupError(f"the disk of the database is full, and what was made was removed: {error}") from error
        where = settings.data_dir.absolute()
        if as_json:
            show(_restored(done, str(where)), as_json=True)
            return
        manifest = done.manifest
        _say(f"restored into {where}: the server as it was at {manifest.made_at:%Y-%m-%d %H:%M:%S} UTC")
        _say(f"licences: {manifest.licences}; files of bulk calls: {done.files}; the key of secrets: {done.key}")
        if done.applied:
            _say(f"its schema was {manifest.schema} and was brought up to date ({counted(len(done.applied), 'step')})")
        if done.woken.doubtful:
            doubtful = counted(done.woken.doubtful, "mail")
            _say(f"{doubtful} of triggers and tests under way: uncertain now, and not sent")
        _list_held(done.woken.campaigns)
        if done.woken.held:
            # Without these, the verb would be for whichever server the environment names.
            same = f" --data-dir {shlex.quote(str(where))}" if data_dir else ""
            same += " --database-url URL" if database_url else ""
            _say(f"No mail, webhook or file leaves this server, and no job runs, until you run: tabellion resume{same}")


def resume(data_dir: DataDir = None, database_url: DatabaseUrl = None, as_json: AsJson = False) -> None:
    """Let a restored server send, deliver and run jobs again; campaigns that it holds stay held."""
    # What knows all secrets takes as long to load as another verb to do.
    from tabellion.cli.unreadable import ADVICE, unreadable  # noqa: PLC0415

    async def work(db: Database) -> dict[str, Any]:
        wrong = await unreadable(db)
        found = await resume_server(db, utc_now())
        was, held = found if found is not None else (None, [])
        moment = _iso(was.backup_at if was else None)
        return {"resumed": was is not None, "backupAt": moment, "campaigns": held, "unreadable": wrong}

    done = on_database(data_dir, database_url, work)
    if as_json:
        show({**done, "campaigns": [each._asdict() for each in done["campaigns"]]}, as_json=True)
    elif not done["resumed"]:
        _say("nothing was held: the server works")
    else:
        _say("job workers begin within seconds: mails, webhooks and files leave, jobs run")
        _list_held(done["campaigns"])
        if done["unreadable"]:
            _warn(f"secrets are unreadable, and what needs them waits or fails: {', '.join(done['unreadable'])}; {ADVICE}")


def _refuse_beside_verify(given: dict[str, object]) -> None:
    """What is about making a backup, which somebody may take for said to the reading of one."""
    if named := [option for option, value in given.items() if value]:
        fail(f"--verify makes no backup, it reads one: leave out {', '.join(named)}, or --verify")


def _verify(file: str, *, as_json: bool) -> None:
    with clear_errors():
        if not file:
            fail("name the file to be read: tabellion backup FILE --verify")
        manifest = read(Path(file))
        _show(_described(manifest, Path(file)), as_json=as_json)
        require_restorable(manifest)
        if not as_json:
            _say("all sums are right, and this version of Tabellion can restore it")


def _described(manifest: Manifest, path: Path) -> dict[str, Any]:
    files = [part for part in manifest.parts if part.name.startswith(f"{SPOOL}/")]
    database = next(part for part in manifest.parts if part.name not in {each.name for each in files})
    return {
        "file": str(path),
        "bytes": path.stat().st_size,
        "madeAt": _iso(manifest.made_at),
        "tabellion": manifest.version,
        "schema": manifest.schema,
        "postgresql": manifest.postgresql,
        "licences": manifest.licences,
        "database": {"bytes": database.bytes, "sha256": database.sha256},
        "files": {"count": len(files), "bytes": sum(part.bytes for part in files)},
        "missingFiles": manifest.missing_files,
        "secretKey": manifest.secret_key,
    }


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    if not as_json:
        database, files = found.pop("database"), found.pop("files")
        found |= {
            "bytes": _size(found["bytes"]),
            "database": f"{_size(database['bytes'])}, packed",
            "files": f"{files['count']} of bulk calls, {_size(files['bytes'])}",
            "secretKey": _KEYS[found["secretKey"]],
        }
    show(found, as_json=as_json)


def _restored(done: Restored, where: str) -> dict[str, Any]:
    return {
        "dataDirectory": where,
        "madeAt": _iso(done.manifest.made_at),
        "tabellion": done.manifest.version,
        "schema": done.manifest.schema,
        "applied": done.applied,
        "licences": done.manifest.licences,
        "files": done.files,
        "secretKey": done.key,
        "uncertainMails": done.woken.doubtful,
        "campaigns": [each._asdict() for each in done.woken.campaigns],
        "held": done.woken.held,
    }


def _list_held(found: list[HeldCampaign]) -> None:
    for each in found:
        _say(f"campaign {each.id} '{each.name}' of {each.licence}/{each.entity} is paused: resume or cancel it by its call")


def _interruptible(stack: ExitStack, message: str) -> None:
    """SIGTERM and a closed terminal end the verb as Ctrl-C does: with everything in order."""

    def stop(_: int, __: FrameType | None) -> None:
        raise KeyboardInterrupt

    for number in (signal.SIGTERM, signal.SIGHUP):
        stack.callback(signal.signal, number, signal.signal(number, stop))
    stack.enter_context(_telling(message))


@contextmanager
def _telling(message: str) -> Generator[None]:
    try:
        yield
    except (KeyboardInterrupt, asyncio.CancelledError):
        fail(message)


def _iso(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _size(size: int) -> str:
    return next((f"{size / unit:.1f} {name}" for unit, name in _UNITS if size >= unit), counted(size, "byte"))


def _say(text: str) -> None:
    console().print(text, highlight=False, markup=False, soft_wrap=True)


def _warn(text: str) -> None:
    print(f"tabellion: warning: {text}", file=sys.stderr)  # noqa: T201 - the command line speaks
