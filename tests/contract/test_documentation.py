"""The documentation is a contract: what it names exists, what exists is named, and its commands run as written."""

import os
import re
import smtplib
import socket
import subprocess
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from standardwebhooks import Webhook

import tabellion
from tabellion.kit.problem import Problem
from tabellion.platform.http import json_codec, shapes, xml_codec
from tabellion.server import app as _everything  # noqa: F401 - so that every error class is loaded
from tabellion.server.calls import CALLS
from tabellion.settings import HELP, Settings
from tests.support.api import Api, free_port
from tests.support.tenant import Tenant
from tests.support.waiting import until

ROOT = Path(tabellion.__file__).parents[2]
ERRORS = (ROOT / "docs/reference/errors.md").read_text()


def _codes() -> set[str]:
    """Every code that the program can answer: of error classes, and those written out where errors are noted."""
    found: set[str] = set()
    pending = [Problem]
    while pending:
        cls = pending.pop()
        pending += cls.__subclasses__()
        if isinstance(vars(cls).get("code"), str):
            found.add(cls.code)
    for path in (ROOT / "src").rglob("*.py"):
        found |= set(
            re.findall(
                r'"((?:attribute|foreignKey|subscription|segmentation|structure|member|text|key|parameter|auth|filter|template|mjml|html|subject|link|image)\.[a-zA-Z]+)"',
                path.read_text(),
            )
        )
    # Names of calls, which look like codes.
    return found - {call.id for call in CALLS}


def test_every_error_code_is_documented() -> None:
    undocumented = {code for code in _codes() if f"`{code}`" not in ERRORS}
    assert undocumented == set()


def test_every_error_class_says_what_to_do() -> None:
    pending, silent = [Problem], []
    while pending:
        cls = pending.pop()
        pending += cls.__subclasses__()
        if cls.__module__.startswith("tabellion") and not cls.__doc__:
            silent.append(cls.__name__)
    assert silent == []


def test_every_setting_has_help_and_unit() -> None:
    assert set(HELP) == set(Settings.__struct_fields__)
    assert all(text and unit for text, unit in HELP.values())


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call.id)
def test_every_example_fits_its_shape_in_both_formats(call) -> None:
    for type_, root, example in (
        (call.body, call.body_root, call.body_example),
        (call.answer, call.answer_root, call.answer_example),
    ):
        if type_ is None:
            continue
        value, ignored = shapes.reader(type_).read(example)
        assert ignored == []
        both_names = type_ is call.answer and call.id == "profiles.v4.segmentations"  # JSON only, and never read
        if root and call.version == "v4" and not both_names:
            xml = xml_codec.encode(value, root)
            again, _ = shapes.reader(type_).read(xml_codec.decode(xml, type_, root, None), from_xml=True)
            assert xml_codec.encode(again, root) == xml


def test_the_openapi_document_refers_to_nothing_that_it_has_not(tenant: Tenant) -> None:
    document = tenant.call("GET", "/openapi.json").text
    components = json_codec.decode(document.encode())["components"]
    there = {f"#/components/{kind}/{name}" for kind, named in components.items() for name in named}
    named = set(re.findall(r'"\$ref": *"([^"]+)"', document))

    assert named - there == set()
    # Programs that write clients call classes by these names.
    assert [name for name in components["schemas"] if not re.fullmatch("[A-Z][A-Za-z0-9]*", name)] == []


def test_the_openapi_document_has_every_call_with_its_formats(tenant: Tenant) -> None:
    document = json_codec.decode(tenant.call("GET", "/openapi.json").content)
    operations = {o["operationId"]: o for path in document["paths"].values() for o in path.values()}
    assert set(operations) == {call.id for call in CALLS}
    assert list(document["components"]["schemas"]) == sorted(document["components"]["schemas"])
    for call in CALLS:
        assert ("409" in operations[call.id]["responses"]) == bool(call.writes or call.conflicts)
        if call.answer is None:
            continue
        status = str(next(iter(call.statuses)))
        assert ("ETag" in operations[call.id]["responses"][status]["headers"]) == (call.tagged if call.writes else call.etag)
        formats = set(operations[call.id]["responses"][status]["content"])
        assert ("application/xml" in formats) == (call.version in {"v1", "v4"} and bool(call.answer_root))
        assert "application/json" in formats


def test_every_body_of_the_openapi_document_has_an_example_with_all_that_it_needs(tenant: Tenant) -> None:
    document = json_codec.decode(tenant.call("GET", "/openapi.json").content)
    bodies = [
        (operation["operationId"], media_type, content)
        for path in document["paths"].values()
        for operation in path.values()
        for media_type, content in operation.get("requestBody", {"content": {}})["content"].items()
    ]
    assert {media_type for _, media_type, _ in bodies} >= {"application/json", "application/xml", "multipart/form-data"}
    assert [(name, media_type) for name, media_type, content in bodies if not content.get("example")] == []
    forms = [(name, content) for name, media_type, content in bodies if media_type == "multipart/form-data"]
    lacking = [name for name, form in forms if not all(form["example"].get(field) for field in form["schema"]["required"])]
    assert lacking == []


def test_the_map_of_the_code_has_every_folder_of_features_and_platform_and_no_other() -> None:
    layout = (ROOT / "docs/architecture.md").read_text().split("```")[1]
    named = set(re.findall(r"^    (\w+)/ ", layout, re.MULTILINE))
    source = ROOT / "src/tabellion"
    assert named == {path.parent.name for part in ("features", "platform") for path in (source / part).glob("*/__init__.py")}


def test_links_between_pages_lead_somewhere() -> None:
    broken = []
    for page in [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not link.startswith(("http", "/")) and not (page.parent / link).exists():
                broken.append(f"{page.relative_to(ROOT)}: {link}")
    assert broken == []


@pytest.mark.parametrize(
    "path",
    [
        "/docs",
        "/docs/checker",
        "/docs/guide/quickstart",
        "/docs/reference/errors",
        "/docs/deprecation/xml",
        "/problems/attribute.type",
        "/docs/static/site.css",
        "/docs/static/vendor/swagger-ui/swagger-ui-bundle.js",
        "/health",
        "/ready",
        "/metrics",
    ],
)
def test_pages_are_served_without_credentials(path: str, tenant: Tenant) -> None:
    assert tenant.client.get(path).status_code == 200


def test_the_bare_address_leads_to_the_documentation(tenant: Tenant) -> None:
    browser = tenant.client.get("/", headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
    assert (browser.status_code, browser.headers["location"]) == (302, "docs")
    program = tenant.client.get("/", headers={"Accept": "*/*"})
    assert (program.status_code, program.headers["vary"]) == (200, "Accept")
    pointer = program.json()
    assert (pointer["name"], pointer["version"]) == ("Tabellion", tabellion.__version__)
    for place in ("documentation", "openapi"):
        assert tenant.client.get(pointer[place]).status_code == 200
    assert tenant.client.post("/").status_code == 405


@pytest.mark.parametrize(
    "path",
    [
        "/docs/guide/..%2f..%2fREADME",
        "/docs/static/..%2f..%2fsite.py",
        "/docs/static/page.html",
        "/docs/guide/none",
        # Of no file's length.
        f"/docs/guide/{'x' * 300}",
        f"/docs/static/{'x' * 300}",
    ],
)
def test_nothing_else_is_served(path: str, tenant: Tenant) -> None:
    assert tenant.call("GET", path).status_code == 404


def test_what_pages_cannot_read_is_refused_as_what_calls_cannot(tenant: Tenant, api: Api) -> None:
    """The library of the pages refuses by itself: what is too large for it, names that no host has, who leaves too early."""
    much = tenant.client.post("/docs/check", content=b" " * 11_000_000)
    assert (much.status_code, much.json()) == (413, {"ok": False, "tooLarge": True})
    nobody = tenant.client.get("/health", headers={"Host": "a b"})
    assert (nobody.status_code, nobody.json()["code"]) == (400, "request.malformed")
    with socket.create_connection((tenant.client.base_url.host, tenant.client.base_url.port)) as leaving:
        leaving.sendall(b"POST /docs/check HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
    until(lambda: _logged(api, "POST", "request.malformed"))
    assert not _logged(api, "POST", "internal")


def _logged(api: Api, method: str, code: str) -> bool:
    lines = (line for line in api.log.read_text().splitlines() if '"call":"none"' in line)
    return any(f'"method":"{method}"' in line and f'"code":"{code}"' in line for line in lines)


@pytest.mark.parametrize(
    ("path", "content_type"),
    [
        ("/openapi.json", "application/json"),
        ("/docs/guide/quickstart", "text/html; charset=utf-8"),
        ("/docs/static/vendor/swagger-ui/swagger-ui-bundle.js", "text/javascript; charset=utf-8"),
    ],
)
def test_pages_are_compressed_for_those_who_take_it(path: str, content_type: str, tenant: Tenant) -> None:
    plain = tenant.client.get(path, headers={"Accept-Encoding": "gzip;q=0"})
    packed = tenant.client.get(path, headers={"Accept-Encoding": "gzip"})

    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert int(packed.headers["Content-Length"]) < len(plain.content) / 2
    assert packed.content == plain.content
    for answer in (plain, packed):
        assert answer.headers["Content-Type"] == content_type
        assert answer.headers["Vary"] == "Accept-Encoding"


def test_the_pages_load_nothing_from_elsewhere(tenant: Tenant) -> None:
    for path in ("/docs", "/docs/checker", "/docs/guide/quickstart"):
        text = tenant.client.get(path).text
        assert re.findall(r'(?:src|href)="(?:https?:)?//', text) == []


def test_the_verification_of_the_guide_agrees_with_the_reference_library() -> None:
    text = (ROOT / "docs/guide/webhooks.md").read_text()
    (code,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    verify = names["verify"]
    secret, other, body = "whsec_" + "MfKQ" * 11, "whsec_" + "NfKQ" * 11, b'{"id":55012}'
    now = datetime.now(UTC)

    def headers(moment: datetime, *secrets: str) -> dict[str, str]:
        signatures = [Webhook(s).sign("msg-1", moment, body.decode()) for s in secrets]
        timestamp = str(int(moment.timestamp()))
        return {"webhook-id": "msg-1", "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}

    assert verify(body, headers(now, secret), secret)
    assert verify(body, headers(now, other, secret), secret)
    assert not verify(body, headers(now, other), secret)
    assert not verify(body + b" ", headers(now, secret), secret)
    assert not verify(body, headers(now - timedelta(minutes=6), secret), secret)


@pytest.mark.usefixtures("stays")
def test_the_calls_of_the_guide_to_custom_tables_work_as_written(tenant: Tenant) -> None:
    text = (ROOT / "docs/guide/custom-tables.md").read_text()
    calls = re.findall(r"```http\n([A-Z]+) (\S+)\n(.*?)```", text, re.DOTALL)
    assert len(calls) >= 9
    assert tenant.json("DELETE", "/v5/entities/hotels/custom-tables/Stays").status_code == 204

    answers = [tenant.call(method, path, content=body.strip()) for method, path, body in calls]

    assert [a.status_code for a in answers] == [201, 200, 200, 200, 201, 200, 200, 201, 200, 201, 204]
    found = [a.json() for a in answers if a.content]
    assert found[6]["records"][0]["attributes"]["state"] == "PAID"
    assert [r["properties"][3]["value"] for r in found[8]["records"]] == ["ST-00018"]


@pytest.mark.system
@pytest.mark.parametrize("page", ["quickstart", "first-campaign"])
def test_the_guides_do_not_wait_for_a_server_that_has_ended(page: str, tmp_path: Path) -> None:
    """What they begin with, while somebody else has the port."""
    (block, *_) = re.findall(r"```sh\n(.*?)```", (ROOT / f"docs/guide/{page}.md").read_text(), re.DOTALL)
    script = block[: block.index("\ndone\n") + len("\ndone\n")].replace("make setup\n", "")
    (tmp_path / ".venv").symlink_to(Path(__import__("sys").prefix))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        script = script.replace("8090", str(taken.getsockname()[1]))
        run = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert "cannot be listened on" in run.stdout
    assert "choose another with --port" in run.stdout


@pytest.mark.system
def test_the_guides_of_mails_run_as_written(tmp_path: Path) -> None:
    """Their commands, one guide after the other on one server, in a folder of their own."""
    first, transactional = _commands("first-campaign"), _commands("transactional-mail")
    assert min(len(first), len(transactional)) >= 6
    domain, bounces, pacing = _commands("sender-domain"), _commands("bounces"), _commands("pacing")
    # The door is opened by a test of its own; here it would be a second server.
    bounces = [block for block in bounces if "tabellion serve" not in block]
    assert len(bounces) == len(_commands("bounces")) - 1
    (limits,) = re.findall(r"```json\n(\{ \"contactPressure.*?)```", (ROOT / "docs/guide/pacing.md").read_text(), re.DOTALL)
    (tmp_path / "limits.json").write_text(limits)
    (tmp_path / "password.txt").write_text("secret")
    (tmp_path / "list.csv").write_text("eve@example.com\n")
    (tmp_path / ".venv").symlink_to(Path(__import__("sys").prefix))
    (stop,) = [block for block in transactional if "kill $SERVER" in block]
    transactional.remove(stop)
    script = "\n".join([
        "set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT",
        *first, *transactional,
        'echo; echo ======; tabellion() { .venv/bin/tabellion "$@"; }',
        *domain, *bounces, *pacing, stop,
    ])  # fmt: skip
    script = re.sub("8080|8090", str(free_port()), script)
    run = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    sent, administered = run.stdout.split("======")
    for expected in (
        '"estimatedCount":2', '"subject":"Le printemps est là, Paul"', '"sent":1}', '"launchable":true', '"mails":2', '"relay.missing"',
        '"sender.local"', '"server.publicUrl"', '"targeted":2', '"delivered":2', "Le printemps est là, Paul\n", '"state":"ACTIVE"', '"interactionId"',
        "Your stay ST-00017\nYour stay ST-00018\nYour stay ST-00019\nYour stay ST-00020\nYour stay ST-00021\n",
    ):  # fmt: skip
        assert expected in sent, sent
    # Nothing that is said to keep mails from arriving goes without a word in the guide.
    assert '"ERROR"' not in sent, sent
    wanted = (
        "s1._domainkey.hotels.example\n",
        "v=DKIM1; k=rsa; p=",
        "IDAQAB\n",
        '"addressesLookedAt"',
        "gmail.com",
        '"mailsPerHour":20000',
    )
    for expected in wanted:
        assert expected in administered, administered
    assert (tmp_path / "list.csv").read_text().count("eve@example.com") == 1


@pytest.mark.system
def test_the_door_of_the_guide_to_bounces_opens_as_written(tmp_path: Path) -> None:
    (block,) = [block for block in _commands("bounces") if "tabellion serve" in block]
    port, program = free_port(), Path(__import__("sys").prefix) / "bin/tabellion"
    script = re.sub(r"INTAKE_PORT=25\b", f"INTAKE_PORT={port}", block).replace("tabellion serve", f"exec {program} serve")
    assert (str(port) in script, str(program) in script) == (True, True)
    settings = {"TABELLION_DATA_DIR": str(tmp_path / "data"), "TABELLION_PORT": str(free_port())}
    log = tmp_path / "log"
    with log.open("wb") as out:
        server = subprocess.Popen(
            ["bash", "-euc", script], env=os.environ | settings, cwd=tmp_path, stdout=out, stderr=subprocess.STDOUT
        )
        try:
            with until(lambda: server.poll() is None and _door(port), within_s=60) as smtp:
                smtp.ehlo("mx.example.net")
                smtp.mail("")
                answers = [
                    smtp.rcpt(to)[0] for to in ("fbl@bounces.example.com", "b-x@bounces.example.com", "ann@example.com")
                ]
        finally:
            server.terminate()
            server.wait(30)
    assert answers == [250, 550, 550], log.read_text()


def _door(port: int) -> smtplib.SMTP | None:
    try:
        return smtplib.SMTP("127.0.0.1", port, timeout=10)
    except OSError:
        return None


def _commands(page: str) -> list[str]:
    """The blocks of commands of a guide."""
    text = (ROOT / f"docs/guide/{page}.md").read_text()
    return [textwrap.dedent(block) for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL)]


@pytest.mark.system
def test_the_quick_start_runs_as_written(tmp_path: Path) -> None:
    """Its commands, in their order, in a copy of the project's folder; another port, and no installation."""
    text = (ROOT / "docs/guide/quickstart.md").read_text()
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 8
    script = "set -eu\n" + "\n".join(blocks)
    script = script.replace("make setup\n", "").replace("8090", str(free_port()))
    (tmp_path / ".venv").symlink_to(Path(__import__("sys").prefix))
    run = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    for expected in ('{"id":"1"}', '{"profileId":1}', '"lastName","value":"Vos"', '"nextCursor":null}204\n'):
        assert expected in run.stdout, run.stdout
