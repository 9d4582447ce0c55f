"""`tabellion demo`: a server with a thousand invented people, and a walk through the calls of the quick start."""

import asyncio
import shlex
import sys
import threading
import time
from pathlib import Path
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

import msgspec
import psycopg
import typer

from tabellion.cli.common import clear_errors, console, fail, settings_of
from tabellion.cli.past_campaign import NAME, past_campaign
from tabellion.cli.people import people
from tabellion.cli.walk import ENTITY, LICENCE, V4, V5, Client, WalkFailed, walk
from tabellion.cli.walk_bulk import walk_bulk
from tabellion.cli.walk_mail import walk_mail
from tabellion.features import licences as use
from tabellion.kit.clock import utc_now
from tabellion.server.claim import refuse_second
from tabellion.server.embedded import EmbeddedPostgres
from tabellion.server.port import check_port
from tabellion.server.supervisor import answers, serve
from tabellion.settings import Settings

PEOPLE = 1000
_LOGIN = "website"
_HOOKS = (
    "webhooks       may go to http:// and to private addresses while the demo runs; `tabellion serve` refuses these,\n"
    "               unless TABELLION_WEBHOOKS_ALLOW_HTTP and TABELLION_WEBHOOKS_ALLOW_PRIVATE are true"
)
_RENEWED = "the key        is new, and so is the password: what earlier runs of the demo printed is not valid any more"
_TABLE: dict[str, Any] = {
    "name": "Contacts",
    "attributes": [
        {"type": "EMAIL_ADDRESS", "name": "emailAddress"},
        {"type": "FIRSTNAME", "name": "firstName"},
        {"type": "LASTNAME", "name": "lastName", "mandatory": True},
        {"type": "SEX", "name": "sex"},
        {"type": "BIRTHDATE", "name": "birthDate"},
        {"type": "MOTHER_LANGUAGE", "name": "motherLanguage"},
        {"type": "ADDRESS_LOCALITY", "name": "addressLocality"},
        {"type": "ADDRESS_COUNTRY", "name": "addressCountry"},
        {"type": "GSM_NUMBER", "name": "gsmNumber"},
        {
            "type": "CUSTOM",
            "name": "cardNumber",
            "valueType": "STRING",
            "unique": True,
            "valueRestriction": {"maxLength": 20},
        },
        {
            "type": "CUSTOM",
            "name": "interests",
            "valueType": "STRING",
            "multiValued": True,
            "valueRestriction": {"acceptedValues": ["BOOKS", "GARDEN", "KITCHEN", "MUSIC", "TRAVEL"]},
        },
        {"type": "CUSTOM", "name": "orders", "valueType": "INTEGER"},
        {"type": "CUSTOM", "name": "spent", "valueType": "NUMBER"},
    ],
    "subscriptions": [{"name": "Newsletter"}, {"name": "Offers"}],
    "segmentations": [
        {"name": "Vip", "type": "SIMPLE"},
        {"name": "Loyalty", "type": "EXCLUSIVE", "categories": ["Silver", "Gold"]},
    ],
}


class _Made(NamedTuple):
    """The API user of the demo; `renewed`: it was there before, with another key."""

    user: use.Credentials
    renewed: bool


def demo(
    data_dir: Annotated[Path, typer.Option(help="Folder of the demo's data.")] = Path("demo-data"),
    host: Annotated[str | None, typer.Option(help="Address to listen on.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on.")] = None,
    once: Annotated[
        bool, typer.Option("--once", help="Stop after the walk; exit status 0 if every answer was right.")
    ] = False,
) -> None:
    """Start a server with invented people, walk through the calls, and stay up."""
    outcome: list[str] = []
    made: list[_Made] = []
    done = threading.Event()
    with clear_errors():
        settings = settings_of(data_dir, None, host=host, port=port)
        # Webhooks of the demo go to a receiver on this machine.
        settings = msgspec.structs.replace(
            settings, database_url="", log_level="warning", webhooks_allow_http=True, webhooks_allow_private=True
        )
        base = settings.own_address
        # Before the walk begins, which would else talk to somebody else's server.
        refuse_second(settings.data_dir)
        check_port(settings)

        def show() -> None:
            try:
                made.append(_show(settings))
                if not once:
                    console().rule("ready")
                    _point_to(base, made[0])
            except Exception as error:  # noqa: BLE001 - the edge of the thread: told, and turned into the exit status
                outcome.append(f"{type(error).__name__}: {error}")
                console().print(f"the walk stopped: {error}", style="red", markup=False)
            done.set()

        threading.Thread(target=show, daemon=True).start()

        def finished() -> bool:
            return done.is_set() and (once or bool(outcome))

        serve(settings, lambda message, _=0: console().print(message, style="dim"), until=finished)
    if outcome:
        fail(f"the demo's walk failed: {outcome[0]}")
    if once and made:
        console().rule("stopped")
        console().print("The server has been stopped; its data are kept. To start it again, and then to go on:\n")
        # Where the environment says the port, another shell may not.
        options = {"--data-dir": data_dir, "--host": host, "--port": settings.port}
        given = " ".join(f"{name} {shlex.quote(str(value))}" for name, value in options.items() if value is not None)
        print(f"{_program()} serve {given}\n")  # noqa: T201 - to be copied as it stands
        _point_to(base, made[0])


def _show(settings: Settings) -> _Made:
    """Fill the server and walk through the calls; whose key it was done with."""
    _wait(settings)
    with EmbeddedPostgres(settings.data_dir) as database:
        url = database.url
        made = asyncio.run(_prepare(url))
    client = Client(settings.own_address, made.user.api_key)
    _fill(client)
    asyncio.run(_limit(url, "classic"))
    walk(client)
    # A day has twelve bulk calls; the demo may be run more often.
    asyncio.run(_limit(url, "unlimited"))
    walk_bulk(client)
    past_campaign(client, url)
    walk_mail(client)
    asyncio.run(_limit(url, "classic"))
    return made


def _point_to(base: str, made: _Made) -> None:
    """What to look at, once the server runs."""
    user = made.user
    console().print(f"documentation  {base}/docs\nJSON checker   {base}/docs/checker\n")
    outbox = f"{base}/outbox   name {LICENCE}/{user.login}, password {user.password}"
    console().print(f"mails sent     {outbox}\n", markup=False, highlight=False, soft_wrap=True)
    report = f"{base}/email-campaigns/v5/entities/{ENTITY}/mails/{quote(NAME)}/report/page   with the same"
    console().print(f"a report       {report}\n", markup=False, highlight=False, soft_wrap=True)
    for note in (_HOOKS, _RENEWED) if made.renewed else (_HOOKS,):
        console().print(f"{note}\n", markup=False, highlight=False, soft_wrap=True)
    console().print("try it:")
    example = f"curl -H 'Authorization: Bearer {user.api_key}' {base}{V4}/profile/1"
    print(example, flush=True)  # noqa: T201 - to be copied as it stands


def _program() -> str:
    """How this program is called from here."""
    program = Path(sys.executable).with_name("tabellion")
    near = program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program
    return shlex.quote(str(near)) if program.is_file() else "tabellion"


def _wait(settings: Settings) -> None:
    deadline = time.monotonic() + 60
    while not answers(settings):
        if time.monotonic() > deadline:
            raise WalkFailed("the server was not ready within a minute")
        time.sleep(0.1)


async def _prepare(url: str) -> _Made:
    """Licence, entity and API user; the user gets a new key at each start, for the old one is not known any more."""
    now = utc_now()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
        if not any(one.name == LICENCE for one in await use.list_licences(db)):
            await use.create_licence(db, LICENCE, now, preset="unlimited")
            await use.create_entity(db, LICENCE, ENTITY, now, comment="the demo's shop")
        # Filling is quick without limits; the walk shows them set.
        await use.change_limits(db, LICENCE, {}, now, preset="unlimited")
        if any(one.login == _LOGIN for one in await use.list_users(db, LICENCE)):
            return _Made(await use.rotate_user(db, LICENCE, _LOGIN, now), renewed=True)
        return _Made(await use.create_user(db, LICENCE, _LOGIN, now), renewed=False)


async def _limit(url: str, preset: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
        await use.change_limits(db, LICENCE, {}, utc_now(), preset=preset)


def _fill(client: Client) -> None:
    tables = f"/v5/entities/{ENTITY}/profile-tables"
    if "Contacts" not in str(client.document("GET", tables)):
        client.document("POST", tables, _TABLE)
    started = time.monotonic()
    for person in people(PEOPLE):
        client.document("PUT", f"{V5}/profiles", person)
    took = time.monotonic() - started
    console().print(f"{PEOPLE:,} invented people, one call each, in {took:.1f} s ({PEOPLE / took:,.0f} a second)")
