"""The part of the demo's walk that is about many rows and other systems: a webhook, an import, an export."""

import http.client
import io
import json
import random
import threading
import time
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Self

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from tabellion.cli.common import console
from tabellion.cli.walk import ENTITY, V4, V5, Client, Walk, WalkFailed

ROWS = 20_000
_WRONG = {"birthDate": "1990-02-30", "addressCountry": "Atlantis"}
_EVERY = 4000
_WAIT_S, _LOOK_EVERY_S = 60, 0.5
_SHOWN_LINES = 4


class Receiver:
    """The smallest thing that webhooks can be sent to: it keeps what comes and says 204."""

    def __init__(self) -> None:
        self.bodies: list[Any] = []
        self.came = threading.Event()
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                receiver.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                receiver.came.set()
                self.send_response(http.client.NO_CONTENT)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
                """Nothing on the console."""

        self._server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


def walk_bulk(client: Client) -> None:
    """A webhook arrives, a file goes in, a file comes out. Raises `WalkFailed`."""
    step = Walk(client)
    _webhook(client, step)
    _import(client, step)
    _export(client, step)


def _webhook(client: Client, step: Walk) -> None:
    one = f"/profiles{V5}/profiles/emailAddress=hook@example.com"
    client.call("DELETE", one)
    with Receiver() as receiver:
        body = {"on": "PROFILE_TABLE", "onElementId": "Contacts", "eventType": "CREATE", "targetUrl": receiver.url}
        path = f"/webhooks/v4/entity/{ENTITY}/webhookSubscription"
        step("be told of new profiles", "POST", path, body, expect=201, shorten="signingSecret")
        hook = step.answer["id"]
        new = {"key": {"emailAddress": "hook@example.com"}, "attributes": {"lastName": "Hook"}}
        step("a new profile", "PUT", f"/profiles{V5}/profiles", new, expect=201)
        if not receiver.came.wait(_WAIT_S):
            raise WalkFailed("the webhook did not arrive")
        console().print("and this arrives at a receiver of a few lines:")
        console().print_json(data=receiver.bodies[0])
        client.call("DELETE", f"{path}/{hook}")
    client.call("DELETE", one)


def _import(client: Client, step: Walk) -> None:
    content, wrong = _file()
    order = {"format": {"separator": ";"}, "attributesMapping": _MAPPING}
    console().rule("import a file of many rows", align="left")
    console().print(f"contacts.csv, {ROWS:,} rows:\n" + "\n".join(content.split("\n")[:_SHOWN_LINES]), markup=False)
    boundary = "demo-form"
    form = "".join(
        f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"; filename="{name}"\r\n\r\n{text}\r\n'
        for name, text in (("inputFile", content), ("parameters", json.dumps(order)))
    )  # fmt: skip
    console().print(
        f'curl -X POST -H "Authorization: Bearer $TOKEN" -F inputFile=@contacts.csv -F parameters=@parameters.json '
        f"'{client.base}/mass-imports{V4}/import'",
        style="cyan", markup=False, highlight=False, soft_wrap=True,
    )  # fmt: skip
    media = f"multipart/form-data; boundary={boundary}"
    status, _, text = client.call("POST", f"/mass-imports{V4}/import", f"{form}--{boundary}--\r\n", Content_Type=media)
    if status != http.client.CREATED:
        raise WalkFailed(f"the import was not accepted: {text}")
    one = f"/mass-imports/v4/entity/{ENTITY}/import/{json.loads(text)['id']}"
    _follow(client, f"{one}/status", "import", lambda a: a["status"] not in {"QUEUED", "VALIDATING", "RUNNING"}, "rowsRead")
    step("what became of its rows", "GET", f"{one}/result", expect=200,
         holds=lambda a: (a["rowsRead"], a["rowsInError"]) == (ROWS, wrong))  # fmt: skip
    with zipfile.ZipFile(io.BytesIO(client.download(f"{one}/errors"))) as archive:
        lines = archive.read(archive.namelist()[0]).decode().splitlines()
    console().print(f"and its error file, with the {wrong} rows to mend:\n" + "\n".join(lines[:_SHOWN_LINES]), markup=False)


def _export(client: Client, step: Walk) -> None:
    definition = {
        "tableId": "Contacts",
        "attributes": ["profileId", "emailAddress", "subscriptions.Newsletter"],
        "filter": "orders > 5",
        "compression": "ZIP",
    }
    path = f"/exports/v5/entities/{ENTITY}/export-executions"
    step("export rows of the table", "POST", path, definition, expect=201)
    one = f"{path}/{step.answer['id']}"
    _follow(client, one, "export", lambda a: a["status"] not in {"QUEUED", "RUNNING"}, "rowsExported")
    step("what was exported", "GET", one, expect=200, holds=lambda a: a["status"] == "DONE" and a["rowsExported"] > 0)
    with zipfile.ZipFile(io.BytesIO(client.download(f"{one}/file"))) as archive:
        lines = archive.read("export.csv").decode().splitlines()
        rows = json.loads(archive.read("manifest.json"))["rows"]
    if rows != len(lines) - 1:
        raise WalkFailed(f"the manifest says {rows} rows, the file has {len(lines) - 1}")
    console().print("the file:\n" + "\n".join(lines[:_SHOWN_LINES]), markup=False)


def _follow(client: Client, path: str, word: str, has_ended: Callable[[Any], bool], rows: str) -> None:
    """Ask how far a job is until it has ended, and show it."""
    columns = (TextColumn(word), BarColumn(), TextColumn("{task.fields[rows]:,} rows"), TimeRemainingColumn())
    with Progress(*columns, console=console()) as progress:
        task = progress.add_task("", total=100, rows=0)
        deadline = time.monotonic() + _WAIT_S
        while True:
            status, _, text = client.call("GET", path)
            answer = json.loads(text)
            if status != http.client.OK:
                raise WalkFailed(f"the {word} is gone: {text}")
            progress.update(task, completed=answer["percent"], rows=answer[rows])
            if has_ended(answer):
                return
            if time.monotonic() > deadline:
                raise WalkFailed(f"the {word} did not end within a minute: {text}")
            time.sleep(_LOOK_EVERY_S)


_MAPPING = [
    {"headerColumn": "mail", "attributeName": "emailAddress"},
    {"headerColumn": "name", "attributeName": "lastName"},
    {"headerColumn": "born", "attributeName": "birthDate"},
    {"headerColumn": "country", "attributeName": "addressCountry"},
    {"headerColumn": "orders", "attributeName": "orders"},
    {"headerColumn": "news", "attributeName": "subscriptions#Newsletter"},
]


def _file() -> tuple[str, int]:
    """A file of invented people, the same each time, and how many of its rows are wrong."""
    dice = random.Random(4)  # noqa: S311 - the same people each time
    names, countries = ("Vos", "Peeters", "Maes", "Dubois", "Jansen"), ("BE", "FR", "NL", "LU")
    lines = ["mail;name;born;country;orders;news"]
    wrong = 0
    for number in range(ROWS):
        born = f"19{dice.randrange(40, 99)}-{dice.randrange(1, 13):02d}-{dice.randrange(1, 29):02d}"
        country = dice.choice(countries)
        if number % _EVERY == _EVERY - 1:
            wrong += 1
            born, country = (_WRONG["birthDate"], country) if wrong % 2 else (born, _WRONG["addressCountry"])
        news = dice.choice(("true", "false"))
        lines.append(f"i{number}@example.org;{dice.choice(names)};{born};{country};{dice.randrange(20)};{news}")
    return "\n".join(lines) + "\n", wrong
