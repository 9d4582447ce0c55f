"""`tabellion demo`: a server with a thousand invented people, and a walk through the calls of the quick start."""

import asyncio
import http.client
import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlsplit

import msgspec
import psycopg
import typer
from rich.syntax import Syntax

from tabellion.cli.common import clear_errors, console, fail, settings_of
from tabellion.cli.people import people
from tabellion.features import licences as use
from tabellion.kit.clock import utc_now
from tabellion.server.embedded import EmbeddedPostgres
from tabellion.server.supervisor import serve

PEOPLE = 1000
_LICENCE, _ENTITY, _LOGIN = "demo", "shop", "website"
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
_V4 = f"/v4/entity/{_ENTITY}/table/Contacts"
_V5 = f"/v5/entities/{_ENTITY}/profile-tables/Contacts"
_SHOWN_CHARACTERS = 900


class WalkFailed(Exception):
    """An answer of the walk was not what it should be."""


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
    done = threading.Event()
    with clear_errors():
        settings = settings_of(data_dir, None, host=host, port=port)
        settings = msgspec.structs.replace(settings, database_url="", log_level="warning")
        base = f"http://{settings.host}:{settings.port}"

        def show() -> None:
            try:
                _show(base, settings.data_dir)
            except Exception as error:  # noqa: BLE001 - the edge of the thread: told, and turned into the exit status
                outcome.append(f"{type(error).__name__}: {error}")
                console.print(f"[red]the walk stopped: {error}[/red]")
            done.set()

        threading.Thread(target=show, daemon=True).start()
        finished: Callable[[], bool] = lambda: done.is_set() and (once or bool(outcome))  # noqa: E731 - one line
        serve(settings, lambda message: console.print(message, style="dim"), until=finished)
    if outcome:
        fail(f"the demo's walk failed: {outcome[0]}")


def _show(base: str, data_dir: Path) -> None:
    _wait(base)
    with EmbeddedPostgres(data_dir) as database:
        url = database.url
        key = asyncio.run(_prepare(url))
    client = Client(base, key)
    _fill(client)
    asyncio.run(_limit(url))
    _walk(client)
    address = f"{base}{_V4}/profile/1"
    console.rule("ready")
    console.print(f"documentation  {base}/docs\nJSON checker   {base}/docs/checker\n")
    console.print("try it:")
    print(f"curl -H 'Authorization: Bearer {key}' {address}", flush=True)  # noqa: T201 - to be copied as it stands


def _wait(base: str) -> None:
    deadline = time.monotonic() + 60
    where = urlsplit(base)
    while time.monotonic() < deadline:
        try:
            connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=2)
            connection.request("GET", "/ready")
            if connection.getresponse().status == http.client.OK:
                return
        except OSError:
            pass
        time.sleep(0.1)
    raise WalkFailed("the server was not ready within a minute")


async def _prepare(url: str) -> str:
    """Licence, entity and API user; the user gets a new key at each start, for the old one is not known any more."""
    now = utc_now()
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
        if not any(one.name == _LICENCE for one in await use.list_licences(db)):
            await use.create_licence(db, _LICENCE, now, preset="unlimited")
            await use.create_entity(db, _LICENCE, _ENTITY, now, comment="the demo's shop")
        # Filling is quick without limits; the walk shows them set.
        await use.change_limits(db, _LICENCE, {}, now, preset="unlimited")
        if any(one.login == _LOGIN for one in await use.list_users(db, _LICENCE)):
            return (await use.rotate_user(db, _LICENCE, _LOGIN, now)).api_key
        return (await use.create_user(db, _LICENCE, _LOGIN, now)).api_key


async def _limit(url: str) -> None:
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
        await use.change_limits(db, _LICENCE, {}, utc_now(), preset="classic")


class Client:
    """One connection to the demo's server."""

    def __init__(self, base: str, key: str) -> None:
        self.base = base
        self.key = key
        self.token = key
        where = urlsplit(base)
        self._connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)

    def call(self, method: str, path: str, body: Any = None, accept: str = "", **headers: str) -> tuple[int, Any, str]:
        """Status, headers and text of an answer."""
        sent = {
            "Authorization": f"Bearer {self.token}",
            **{name.replace("_", "-"): value for name, value in headers.items()},
        }
        if accept:
            sent["Accept"] = accept
        content = None
        if body is not None:
            content = body if isinstance(body, str) else json.dumps(body)
            sent.setdefault("Content-Type", "application/json")
        self._connection.request(method, path, content, sent)
        answer = self._connection.getresponse()
        return answer.status, answer.headers, answer.read().decode()


def _fill(client: Client) -> None:
    status, _, text = client.call("GET", f"/v5/entities/{_ENTITY}/profile-tables")
    if status != http.client.OK:
        raise WalkFailed(f"the tables cannot be listed: {text}")
    if "Contacts" not in text:
        status, _, text = client.call("POST", f"/v5/entities/{_ENTITY}/profile-tables", _TABLE)
        if status != http.client.CREATED:
            raise WalkFailed(f"the table cannot be made: {text}")
    started = time.monotonic()
    for person in people(PEOPLE):
        status, _, text = client.call("PUT", f"{_V5}/profiles", person)
        if status not in {http.client.OK, http.client.CREATED}:
            raise WalkFailed(f"a profile cannot be made: {text}")
    took = time.monotonic() - started
    console.print(f"{PEOPLE:,} invented people, one call each, in {took:.1f} s ({PEOPLE / took:,.0f} a second)")


def _walk(client: Client) -> None:
    step = Walk(client)
    step("an access token for the API key", "GET", "/auth/token", expect=200, holds=lambda a: a["expiresIn"] == "900s",
         hide="accessToken")  # fmt: skip
    client.token = step.answer["accessToken"]
    step("the entities of this user", "GET", "/entities/v4/entity", expect=200,
         holds=lambda a: a["entities"][0]["name"] == _ENTITY)  # fmt: skip
    step("the structure of the table", "GET", f"/profile-table-structure{_V4}", expect=200,
         holds=lambda a: a["attributes"]["emailAddress"]["unique"] is True)  # fmt: skip
    body = {
        "attributes": [
            {"name": "emailAddress", "value": "ann@example.com"},
            {"name": "lastName", "value": "Vos"},
            {"name": "interests", "values": ["BOOKS", "MUSIC"]},
        ],
        "subscriptions": [{"name": "Newsletter", "subscribe": True}],
        "segmentations": [{"name": "Loyalty", "category": "Gold"}],
        "dataCollectionInformation": {"source": "webshop", "way": "api", "date": "01/03/2027 09:15:00"},
    }
    one = f"/profiles{_V4}/profile/emailAddress=ann@example.com"
    client.call("DELETE", one)
    step("create a profile", "POST", f"/profiles{_V4}/profile", body, expect=201, holds=lambda a: a["profileId"] > 0)
    step("the same call again updates it", "POST", f"/profiles{_V4}/profile", body, expect=200,
         holds=lambda a: a["profileId"] > 0)  # fmt: skip
    step("read it by its e-mail address", "GET", one, expect=200,
         holds=lambda a: {"name": "lastName", "value": "Vos"} in a["attributes"])  # fmt: skip
    step("the same in XML (deprecated)", "GET", one, accept="application/xml", expect=200,
         holds=lambda text: "<value>Vos</value>" in text)  # fmt: skip
    step("change one attribute", "PUT", one, {"attributes": [{"name": "birthDate", "value": "1984-05-12"}]}, expect=200)
    step("what a wrong body is told", "POST", f"/profiles{_V4}/profile",
         {"attributes": [{"name": "emailAddress", "value": "new@example.com"}, {"name": "birthDate", "value": "soon"}]},
         expect=400, holds=lambda a: len(a["errors"]) == 2)  # fmt: skip  # noqa: PLR2004 - the missing name and the date
    filter_ = quote('subscriptions.Newsletter = true and addressCountry in ("BE","LU") and orders > 5', safe="")
    step("find by a filter, newest first", "GET", f"/profiles{_V5}/profiles?filter={filter_}&sort=-updateMoment&limit=2",
         expect=200, holds=lambda a: len(a["profiles"]) == 2 and a["nextCursor"])  # fmt: skip  # noqa: PLR2004 - as asked
    step("unsubscribe", "DELETE", f"{one}/subscription/Newsletter", expect=204)
    step("the history of the consent", "GET", f"/profiles{_V5}/profiles/emailAddress=ann@example.com/consents", expect=200,
         holds=lambda a: [c["subscribe"] for c in a["consents"]] == [False, True])  # fmt: skip
    step("the usage of the licence", "GET", "/usage/v5/usage", expect=200, holds=lambda a: a["licence"] == _LICENCE)


class Walk:
    """Makes calls, prints them and their answers, and compares the answers with what they should be."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.answer: Any = None

    def __call__(
        self,
        title: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        accept: str = "",
        expect: int,
        holds: Callable[[Any], Any] = lambda _: True,
        hide: str = "",
    ) -> None:
        """One call of the walk. Raises `WalkFailed`."""
        status, headers, text = self._client.call(method, path, body, accept)
        console.rule(title, align="left")
        command = f'curl -X {method} -H "Authorization: Bearer $TOKEN"' + (f" -H 'Accept: {accept}'" if accept else "")
        command += f" '{self._client.base}{path}'"
        if body is not None:
            command += f" \\\n  -H 'Content-Type: application/json' -d '{json.dumps(body, ensure_ascii=False)}'"
        console.print(command, style="cyan", markup=False, highlight=False, soft_wrap=True)
        limits = headers.get("RateLimit")
        console.print(
            f"{status} {http.client.responses[status]}" + (f"   RateLimit: {limits}" if limits else ""), style="bold"
        )
        is_json = headers.get("Content-Type", "").startswith("application/json")
        self.answer = json.loads(text) if is_json else text
        if text:
            shown = dict(self.answer) if isinstance(self.answer, dict) else self.answer  # pyright: ignore[reportUnknownArgumentType] - JSON
            if hide and isinstance(shown, dict):
                shown[hide] = f"{str(shown[hide])[:8]}..."  # pyright: ignore[reportUnknownArgumentType] - JSON
            pretty = json.dumps(shown, indent=1, ensure_ascii=False) if is_json else text
            cut = pretty if len(pretty) <= _SHOWN_CHARACTERS else pretty[:_SHOWN_CHARACTERS] + "\n..."
            console.print(Syntax(cut, "json" if is_json else "xml", background_color="default", word_wrap=True))
        if status != expect or not holds(self.answer):
            raise WalkFailed(f"{title}: {status} {text[:300]}")
