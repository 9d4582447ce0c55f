"""The demo's walk: calls that are printed with their answers, and compared with what they should be."""

import http.client
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote, urlsplit

from lxml import etree
from rich.syntax import Syntax

from tabellion.cli.common import console

LICENCE, ENTITY = "demo", "shop"
V4 = f"/v4/entity/{ENTITY}/table/Contacts"
V5 = f"/v5/entities/{ENTITY}/profile-tables/Contacts"
_SHOWN_LINES = 36
_LINE = 100
# A connection that was not used for so long is not trusted any more.
_IDLE_S = 2.0


class WalkFailed(Exception):
    """An answer of the walk was not what it should be."""


class Client:
    """One connection to the demo's server."""

    def __init__(self, base: str, key: str) -> None:
        self.base = base
        self.key = key
        self.token = key
        where = urlsplit(base)
        self._connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=60)
        self._used_at = 0.0

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
        answer = self._answer(method, path, content, sent)
        return answer.status, answer.headers, answer.read().decode()

    def document(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """The document of an answer that says that all went well. Raises `WalkFailed`."""
        status, _, text = self.call(method, path, body, **headers)
        if not http.client.OK <= status < http.client.MULTIPLE_CHOICES:
            raise WalkFailed(f"{method} {path}: {status} {text[:300]}")
        return json.loads(text) if text else None

    def download(self, path: str) -> bytes:
        """A file. Raises `WalkFailed`."""
        answer = self._answer("GET", path, None, {"Authorization": f"Bearer {self.token}"})
        content = answer.read()
        if answer.status != http.client.OK:
            raise WalkFailed(f"{path}: {answer.status} {content[:300]!r}")
        return content

    def _answer(self, method: str, path: str, content: str | None, headers: dict[str, str]) -> http.client.HTTPResponse:
        if time.monotonic() - self._used_at > _IDLE_S:
            # The server may have closed it meanwhile; it is opened anew by the request.
            self._connection.close()
        self._connection.request(method, path, content, headers)
        answer = self._connection.getresponse()
        self._used_at = time.monotonic()
        return answer


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
        shorten: str = "",
    ) -> None:
        """One call of the walk; of the member `shorten` of the answer only the beginning is shown. Raises `WalkFailed`."""
        credential = "KEY" if self._client.token == self._client.key else "TOKEN"
        status, headers, text = self._client.call(method, path, body, accept)
        console().rule(title, align="left")
        command = f"curl -X {method} -H \"Authorization: Bearer ${credential}\" '{self._client.base}{path}'"
        if accept:
            command += f" \\\n  -H 'Accept: {accept}'"
        if body is not None:
            command += f" \\\n  -H 'Content-Type: application/json' -d '{pretty(body)}'"
        console().print(command, style="cyan", markup=False, highlight=False, soft_wrap=True)
        limits = headers.get("RateLimit")
        console().print(
            f"{status} {http.client.responses[status]}" + (f"   RateLimit: {limits}" if limits else ""), style="bold"
        )
        is_json = headers.get("Content-Type", "").startswith("application/json")
        self.answer = json.loads(text) if is_json else text
        if text:
            _print_answer(self.answer, "json" if is_json else "xml", shorten)
        if status != expect or not holds(self.answer):
            raise WalkFailed(f"{title}: {status} {text[:300]}")


def _print_answer(answer: Any, language: str, shorten: str) -> None:
    if shorten and isinstance(answer, dict):
        answer = {**answer, shorten: f"{str(answer.get(shorten))[:8]}..."}  # pyright: ignore[reportUnknownArgumentType] - JSON
    shown = pretty(answer) if language == "json" else pretty_xml(answer)
    lines = shown.split("\n")
    if len(lines) > _SHOWN_LINES:
        lines = [*lines[:_SHOWN_LINES], f"... and {len(lines) - _SHOWN_LINES} more lines"]
    console().print(Syntax("\n".join(lines), language, background_color="default", word_wrap=True))


def walk(client: Client) -> None:
    """The calls of the quick start, one after the other. Raises `WalkFailed`."""
    step = Walk(client)
    step("an access token for the API key", "GET", "/auth/token", expect=200, holds=lambda a: a["expiresIn"] == "900s",
         shorten="accessToken")  # fmt: skip
    client.token = step.answer["accessToken"]
    step("the entities of this user", "GET", "/entities/v4/entity", expect=200,
         holds=lambda a: a["entities"][0]["name"] == ENTITY)  # fmt: skip
    step("the structure of the table", "GET", f"/profile-table-structure{V4}", expect=200,
         holds=lambda a: a["attributes"]["emailAddress"]["unique"] is True)  # fmt: skip
    body = {
        "attributes": [
            {"name": "emailAddress", "value": "ann@example.com"},
            {"name": "lastName", "value": "Vos"},
            {"name": "interests", "values": ["BOOKS", "MUSIC"]},
        ],
        "subscriptions": [{"name": "Newsletter", "subscribe": True}],
        "segmentations": [{"name": "Loyalty", "category": "Gold"}],
        "dataCollectionInformation": {"source": "webshop", "way": "api", "date": "01/03/2026 09:15:00"},
    }
    one = f"/profiles{V4}/profile/emailAddress=ann@example.com"
    client.call("DELETE", one)
    step("create a profile", "POST", f"/profiles{V4}/profile", body, expect=201, holds=lambda a: a["profileId"] > 0)
    step("the same call again updates it", "POST", f"/profiles{V4}/profile", body, expect=200,
         holds=lambda a: a["profileId"] > 0)  # fmt: skip
    step("read it by its e-mail address", "GET", one, expect=200,
         holds=lambda a: {"name": "lastName", "value": "Vos"} in a["attributes"])  # fmt: skip
    step("the same in XML (deprecated)", "GET", one, accept="application/xml", expect=200,
         holds=lambda text: "<value>Vos</value>" in text)  # fmt: skip
    step("change one attribute", "PUT", one, {"attributes": [{"name": "birthDate", "value": "1984-05-12"}]}, expect=200)
    step("what a wrong body is told", "POST", f"/profiles{V4}/profile",
         {"attributes": [{"name": "emailAddress", "value": "new@example.com"}, {"name": "birthDate", "value": "soon"}]},
         expect=400, holds=lambda a: len(a["errors"]) == 2)  # fmt: skip  # noqa: PLR2004 - the missing name and the date
    filter_ = quote('subscriptions.Newsletter = true and addressCountry in ("BE","LU") and orders > 5', safe="")
    step("find by a filter, newest first", "GET", f"/profiles{V5}/profiles?filter={filter_}&sort=-updateMoment&limit=2",
         expect=200, holds=lambda a: len(a["profiles"]) == 2 and a["nextCursor"])  # fmt: skip  # noqa: PLR2004 - as asked
    step("unsubscribe", "DELETE", f"{one}/subscription/Newsletter", expect=204)
    step("the history of the consent", "GET", f"/profiles{V5}/profiles/emailAddress=ann@example.com/consents", expect=200,
         holds=lambda a: [c["subscribe"] for c in a["consents"]] == [False, True])  # fmt: skip
    step("the usage of the licence", "GET", "/usage/v5/usage", expect=200, holds=lambda a: a["licence"] == LICENCE)


def pretty(value: Any, indent: str = "") -> str:
    """JSON for people: what fits on a line stands on one."""
    line = json.dumps(value, ensure_ascii=False)
    if len(indent) + len(line) <= _LINE or not isinstance(value, dict | list) or not value:
        return line
    inner = indent + "  "
    if isinstance(value, list):
        parts = [inner + pretty(part, inner) for part in value]  # pyright: ignore[reportUnknownVariableType] - JSON
        return "[\n" + ",\n".join(parts) + f"\n{indent}]"
    parts = [f"{inner}{json.dumps(name)}: {pretty(part, inner)}" for name, part in value.items()]  # pyright: ignore[reportUnknownVariableType] - JSON
    return "{\n" + ",\n".join(parts) + f"\n{indent}}}"


def pretty_xml(text: str) -> str:
    """XML of our own server, indented."""
    root = etree.fromstring(text.encode(), etree.XMLParser(resolve_entities=False, no_network=True))
    etree.indent(root)
    return etree.tostring(root, encoding="unicode")
