"""E-mail campaigns before anything is sent: definition, content, target."""

import base64
import io
import re
import zipfile
from typing import Any

import httpx
import pytest

from tests.support import plain
from tests.support.tenant import HTML, SUBJECT, Tenant

MAIL = "/v4/entity/hotels/mail"
NEW: dict[str, Any] = {"name": "Welcome", "targetTable": "Guests", "supportedLanguages": ["nl", "FR"]}
GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"


@pytest.fixture
def mail(tenant: Tenant) -> str:
    """The address of a new campaign."""
    made = tenant.json("POST", MAIL, NEW)
    assert made.status_code == 201, made.text
    return f"{MAIL}/{made.json()['campaignId']}"


def packed(files: dict[str, bytes | str]) -> bytes:
    """A zip."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return out.getvalue()


def upload(tenant: Tenant, mail: str, content: bytes, *, query: str = "", method: str = "POST") -> httpx.Response:
    """Send a content as integrations do."""
    bearer = {"Authorization": f"Bearer {tenant.api_key}", "Accept": "application/json"}
    file = {"inputFile": ("mail.zip", content, "application/zip")}
    return tenant.client.request(method, f"{mail}/content/body{query}", files=file, headers=bearer)


def faults(answer: httpx.Response) -> list[tuple[str, str]]:
    """Place and code of each error of a refusal."""
    assert answer.status_code == 400, answer.text
    return [(error["field"], error["code"]) for error in answer.json()["errors"]]


def test_what_was_sent_is_echoed_and_a_name_is_taken_once_per_entity(tenant: Tenant, mail: str) -> None:
    read = tenant.json("GET", f"{MAIL}/Welcome").json()
    assert read["supportedLanguages"] == ["nl", "FR"]
    assert (read["displayName"], read["encoding"], read["contentType"]) == ("Welcome", "UTF-8", "HTML")
    assert tenant.json("GET", mail).json() == read
    again = tenant.json("POST", MAIL, NEW | {"name": "WELCOME"})
    assert (again.status_code, again.json()["code"]) == (409, "campaign.nameUsed")
    elsewhere = tenant.json("POST", "/v4/entity/spas/mail", NEW | {"entityOfTarget": "hotels"})
    assert elsewhere.status_code == 201, elsewhere.text
    assert tenant.json("GET", f"/v4/entity/spas/mail/{mail.rpartition('/')[2]}").status_code == 404


@pytest.mark.parametrize(
    ("wrong", "place"),
    [
        ({"name": ""}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "a\r\nBcc: x@example.com"}, "name"),
        ({"displayName": "a\r\nBcc: x@example.com"}, "displayName"),
        ({"from": "a\nb"}, "from"),
        ({"from": "Hafen <news@@x>"}, "from"),
        ({"from": "news@nowhere.example>"}, "from"),
        ({"replyTo": "nobody"}, "replyTo"),
        # Readers would answer to it, but no mail could name it.
        ({"replyTo": "jürgen@example.com"}, "replyTo"),
        ({"replyTo": "a..b@example.com"}, "replyTo"),
        ({"replyTo": "a@example.com\r\nBcc: x@example.com"}, "replyTo"),
        ({"encoding": "UTF-16"}, "encoding"),
        ({"contentType": "TEXT"}, "contentType"),
        ({"sendingMode": "AB_TEST"}, "sendingMode"),
        ({"supportedLanguages": []}, "supportedLanguages"),
        ({"supportedLanguages": ["NL", "nl"]}, "supportedLanguages[1]"),
        ({"supportedLanguages": ["Dutch"]}, "supportedLanguages[0]"),
        ({"targetTable": "Ghosts"}, "targetTable"),
        ({"entityOfTarget": "ghosts"}, "entityOfTarget"),
    ],
)
def test_settings_that_cannot_be_are_refused_with_their_place(tenant: Tenant, mail: str, wrong: Any, place: str) -> None:
    before = tenant.state()
    assert place in [field for field, _ in faults(tenant.json("POST", MAIL, NEW | {"name": "Other"} | wrong))]
    if "name" not in wrong:
        assert place in [field for field, _ in faults(tenant.json("PUT", mail, wrong))]
    assert tenant.state() == before


def test_all_that_is_wrong_with_a_definition_is_told_at_once(tenant: Tenant, mail: str) -> None:
    wrong = {"name": "a/b", "targetTable": "Ghosts", "replyTo": "nobody"}
    told = faults(tenant.json("POST", MAIL, NEW | wrong))
    assert [place for place, _ in told] == ["name", "replyTo", "targetTable"]
    assert faults(tenant.json("PUT", mail, {"targetTable": "Ghosts", "replyTo": "nobody"})) == told[1:]


def test_only_what_is_sent_changes(tenant: Tenant, mail: str) -> None:
    before = tenant.json("GET", mail)
    changed = tenant.json("PUT", mail, {"from": "Harbour <news@example.com>"}, If_Match=before.headers["ETag"])
    assert changed.status_code == 200, changed.text
    after = tenant.json("GET", mail).json()
    assert {name for name, value in after.items() if value != before.json()[name]} == {"from", "updateMoment"}
    stale = tenant.json("PUT", mail, {"from": None}, If_Match=before.headers["ETag"])
    assert stale.status_code == 412


def test_clients_that_write_all_their_members_may_write_null(tenant: Tenant, mail: str) -> None:
    nothing = dict.fromkeys(["encoding", "contentType", "sendingMode", "from", "replyTo", "entityOfTarget", "goalTracking"])
    made = tenant.json("POST", MAIL, NEW | {"name": "Other"} | nothing)
    assert made.status_code == 201, made.text
    read = tenant.json("GET", f"{MAIL}/Other").json()
    assert (read["encoding"], read["sendingMode"], read["entityOfTarget"]) == ("UTF-8", "MASS", "hotels")

    settings = {"sendingMode": "CONTINUOUS", "encoding": "ISO-8859-1"}
    assert tenant.json("PUT", mail, settings).status_code == 200
    before = tenant.json("GET", mail).json()
    nothing |= {"supportedLanguages": None, "targetTable": None, "displayName": "Hello"}
    assert tenant.json("PUT", mail, nothing).status_code == 200
    after = tenant.json("GET", mail).json()
    assert {name for name, value in after.items() if value != before[name]} == {"displayName", "updateMoment"}
    keys = {"personalisations": [{"key": "stayRef", "mandatory": None, "defaultValue": None}]}
    assert tenant.json("PUT", f"{mail}/content/personalisation", keys).status_code == 200
    assert tenant.json("GET", f"{mail}/content/personalisation").json()["personalisations"][0]["mandatory"] is False


@pytest.mark.parametrize(("said", "kept"), [(True, "Welcome"), ("TRUE", "Welcome"), (False, None), ("false", None)])
def test_goal_tracking_may_be_switched_on_and_off(tenant: Tenant, said: Any, kept: Any) -> None:
    assert tenant.json("POST", MAIL, NEW | {"goalTracking": said}).status_code == 201
    assert tenant.json("GET", f"{MAIL}/Welcome").json()["goalTracking"] == kept
    for change, expected in (({"goalTracking": "spring"}, "spring"), ({"goalTracking": said}, kept)):
        assert tenant.json("PUT", f"{MAIL}/Welcome", change).status_code == 200
        assert tenant.json("GET", f"{MAIL}/Welcome").json()["goalTracking"] == expected


def test_a_table_that_the_target_does_not_fit_is_refused_and_says_why(tenant: Tenant, mail: str) -> None:
    table = {"name": "Members", "attributes": [{"type": "EMAIL_ADDRESS", "name": "emailAddress"}]}
    assert tenant.json("POST", "/v5/entities/hotels/profile-tables", table).status_code == 201
    assert tenant.json("PUT", f"{mail}/target", {"filter": "points > 3"}).status_code == 200
    refused = tenant.json("PUT", mail, {"targetTable": "Members"})
    assert faults(refused) == [("target.filter", "attribute.unknown")]
    assert "the campaign's target does not fit the table 'Members'" in refused.json()["message"]


def test_lists_find_by_name_type_and_date(tenant: Tenant, mail: str) -> None:
    for mode in ("CONTINUOUS", "TRANSACTIONAL"):
        assert tenant.json("POST", MAIL, NEW | {"name": mode, "sendingMode": mode}).status_code == 201

    def names(query: str) -> list[str]:
        answer = tenant.json("GET", f"{MAIL}?{query}")
        assert answer.status_code == 200, answer.text
        return [each["name"] for each in answer.json()["mailDocuments"]]

    assert names("") == ["Welcome", "CONTINUOUS", "TRANSACTIONAL"]
    assert names("type=continuous") == ["CONTINUOUS", "TRANSACTIONAL"]
    assert names("type=TRANSACTIONAL") == ["TRANSACTIONAL"]
    assert names("name=welcome&type=MASS_SENDING") == ["Welcome"]
    assert names("dateFilter=creationMoment%3E%3D2027-01-01&dateFilter=startedAt%3C2020-01-01") == []
    assert names("dateFilter=creationMoment%3E2020-01-01&number=2") == ["Welcome", "CONTINUOUS"]
    assert faults(tenant.json("GET", f"{MAIL}?type=SMS")) == [("type", "parameter.invalid")]
    assert tenant.json("GET", f"{MAIL}?dateFilter=endedAt%3E2020-01-01").status_code == 400
    assert faults(tenant.json("GET", f"{MAIL}?name=a%00b")) == [("name", "parameter.invalid")]
    assert tenant.json("GET", f"{MAIL}/a%00b").status_code == 404


@pytest.mark.parametrize(
    ("kind", "body", "subject"),
    [
        ("application/x-www-form-urlencoded", "a+b%20c=é", "a+b%20c=é"),
        ("text/plain", "12", "12"),
        ("application/json", '{"subject": "Zoë"}', "Zoë"),
        ("application/json", '"Zoë"', "Zoë"),
        ("application/json", "12", "12"),
        ("application/json", "Lente bij ons", "Lente bij ons"),
        ("application/json", "{{ profile.lastName }}, lente", "{{ profile.lastName }}, lente"),
        ("application/json", '"Last minute" deals', '"Last minute" deals'),
        ("application/xml", "<mailSubject><subject>Zo\xeb &amp; co</subject></mailSubject>", "Zoë & co"),
        ("application/xml", "Lente & zomer < herfst", "Lente & zomer < herfst"),
        ("application/octet-stream", "\ufeffHello", "Hello"),
    ],
)
def test_a_subject_is_taken_as_it_is_whatever_it_is_called(
    tenant: Tenant, mail: str, kind: str, body: str, subject: str
) -> None:
    put = tenant.call("PUT", f"{mail}/content/subject", content=body.encode(), headers={"Content-Type": kind})
    assert put.status_code == 200, put.text
    assert tenant.json("GET", f"{mail}/content/subject").json() == {"subject": subject}


@pytest.mark.parametrize("body", ['{"subject": 1', '"no end', '{"sbject": "x"}', '{"subject": "a\\u0000"}'])
def test_json_that_is_no_subject_is_refused(tenant: Tenant, mail: str, body: str) -> None:
    put = tenant.call("PUT", f"{mail}/content/subject", content=body, headers={"Content-Type": "application/json"})
    assert put.status_code == 400, put.text
    assert tenant.json("GET", f"{mail}/content/subject").status_code == 404


def test_what_a_subject_ignores_is_told_or_refused_as_is_preferred(tenant: Tenant, mail: str) -> None:
    body = {"subject": "Lente", "Subject": "x"}
    put = tenant.json("PUT", f"{mail}/content/subject", body)
    assert (put.status_code, put.headers.get("X-Ignored-Members")) == (200, "Subject")
    refused = tenant.json("PUT", f"{mail}/content/subject", body, Prefer="handling=strict").json()
    assert [(each["field"], each["code"]) for each in refused["errors"]] == [("Subject", "member.unknown")]


def test_texts_for_headers_hold_what_people_type_and_no_controls(tenant: Tenant, mail: str) -> None:
    typed = "Offre\u00a0: 20\u00a0% \U0001f469\u200d\U0001f467"
    assert tenant.json("PUT", mail, {"from": typed, "displayName": typed}).status_code == 200
    assert tenant.json("PUT", f"{mail}/content/subject", {"subject": typed}).status_code == 200
    read = tenant.json("GET", mail).json()
    assert read["from"] == read["displayName"] == typed

    for member in ("from", "displayName"):
        assert faults(tenant.json("PUT", mail, {member: "a\r\nBcc: x@example.com"})) == [(member, "text.control")]
    assert faults(tenant.json("PUT", f"{mail}/content/subject", {"subject": "a\tb"})) == [("subject", "text.control")]


@pytest.mark.parametrize("body", ["", " ", "a\r\nBcc: x@example.com", "a\0b", "a\x1bb", "a" * 501, "a\u2028b"])
def test_a_subject_is_one_line(tenant: Tenant, mail: str, body: str) -> None:
    assert tenant.call("PUT", f"{mail}/content/subject", content=body.encode()).status_code == 400
    assert tenant.json("GET", f"{mail}/content/subject").json()["code"] == "content.unknown"


def test_a_content_of_ones_own_language_goes_before_the_default(tenant: Tenant, mail: str) -> None:
    for query, text in (("", "Hello"), ("?language=nl", "Dag")):
        assert tenant.call("PUT", f"{mail}/content/subject{query}", content=text).status_code == 200
    read = [tenant.json("GET", f"{mail}/content/subject{q}").json()["subject"] for q in ("", "?language=NL", "?language=FR")]
    assert read == ["Hello", "Dag", "Hello"]
    assert faults(tenant.call("PUT", f"{mail}/content/subject?language=DE", content="Tag")) == [
        ("language", "parameter.invalid")
    ]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_images_of_a_zip_are_hosted_where_the_html_looks_for_them(tenant: Tenant, mail: str, method: str) -> None:
    html = '<p>{{ profile.lastName }}</p><img src="images/a.gif"><td background="./images/A.GIF"><img src="images/none.gif">'
    files = {"m/index.html": html, "m/images/a.gif": GIF, "m/evil.gif": "<script>", "__MACOSX/m/._index.html": "x"}
    put = upload(tenant, mail, packed(files), method=method)
    assert put.status_code == 200, put.text
    got = tenant.json("GET", f"{mail}/content/body")
    assert got.headers["content-type"] == "text/html;charset=UTF-8"
    first = got.text.split('src="')[1].split('"')[0]
    assert first.endswith("/a.gif")
    assert got.text.count(first) == 2
    assert 'src="images/none.gif"' in got.text
    image = plain.get(f"{str(tenant.client.base_url).rstrip('/')}/i/{first.split('/i/')[1]}")
    assert (image.content, image.headers["content-type"]) == (GIF, "image/gif")
    assert "immutable" in image.headers["cache-control"]
    # Another content takes its images' place.
    assert upload(tenant, mail, packed({"a.html": "<p>x</p>"})).status_code == 200
    assert plain.get(f"{str(tenant.client.base_url).rstrip('/')}/i/{first.split('/i/')[1]}").status_code == 404


@pytest.mark.parametrize(
    ("reference", "name"),
    [
        ("<img src=images/x.gif>", "images/x.gif"),
        ("<img src=images/x.gif/>", "images/x.gif"),
        ('<img src="images/logo \xe4.gif?x=1">', "images/logo \xe4.gif"),
        ('<img src="images/logo%20%C3%A4.gif?x=1#y">', "images/logo a\u0308.gif"),
        ('<img src="images/a&amp;b.gif">', "images/a&b.gif"),
        ('<img src="images/a.gif?b">', "images/a.gif?b"),
        ('<img src="images/photo (1).gif">', "images/photo (1).gif"),
        ("<img alt='x' src = \"images/a'b.gif\">", "images/a'b.gif"),
        ("<style>td{background:url( 'images/photo (1).gif' )}</style>", "images/photo (1).gif"),
        ('<p style="background:url(&quot;images/a\'b.gif&quot;)">', "images/a'b.gif"),
        ('<p style="background:url(&#39;images/a&amp;b.gif&#39;)">', "images/a&b.gif"),
        ("<source srcset=images/x.gif>", "images/x.gif"),
        ("<source srcset=\"images/a'b,c=d.gif, images/a'b,c=d.gif 2x\">", "images/a'b,c=d.gif"),
        ('<img src="images/a%20b.gif">', "images/a%20b.gif"),
        ('<img src="/images/x.gif">', "images/x.gif"),
        ('<img src="../images/x.gif">', "images/x.gif"),
        ('<img src="..\\images\\x.gif">', "images/x.gif"),
    ],
)
def test_images_are_found_however_they_are_referred_to(tenant: Tenant, mail: str, reference: str, name: str) -> None:
    assert upload(tenant, mail, packed({"m.html": reference, name: GIF})).status_code == 200
    got = tenant.json("GET", f"{mail}/content/body").text
    address = re.search(r"http[^\s\"'<>]*/i/[^\s\"'<>]+", got)
    assert address is not None, got
    assert "images/" not in got
    assert tenant.client.get(address[0].removesuffix("/")[address[0].index("/i/") :]).content == GIF


def test_style_sheets_of_a_zip_come_into_the_html(tenant: Tenant, mail: str) -> None:
    html = (
        "<link rel=stylesheet href=css/a.css media='screen'><link rel='stylesheet' href='https://x.example/b.css'><p>x</p>"
    )
    files = {"m/a.html": html, "m/css/a.css": "p { background: url(../b.gif) }", "m/b.gif": GIF}
    assert upload(tenant, mail, packed(files)).status_code == 200
    got = tenant.json("GET", f"{mail}/content/body").text
    assert re.search(r'<style media="screen">\np \{ background: url\(http[^)]*/b\.gif\) \}\n</style>', got)
    assert "<link rel='stylesheet' href='https://x.example/b.css'>" in got
    assert "css/a.css" not in got
    many = packed({"a.html": "<link rel=stylesheet href=a.css>" * 3, "a.css": "p{}" + " " * 1_000_000})
    refused = upload(tenant, mail, many)
    assert (refused.status_code, "style sheets" in refused.json()["message"]) == (400, True)


def test_windows_encodings_are_read_as_browsers_read_them(tenant: Tenant, mail: str) -> None:
    raw = "<p>\u201ccaf\xe9\u201d \u2013 5 \u20ac</p>"
    for charset in ("windows-1252", "ISO-8859-1", "latin1", "Cp1252"):
        sent = upload(tenant, mail, packed({"a.html": raw.encode("cp1252")}), query=f"?charset={charset}")
        assert sent.status_code == 200, sent.text
        assert tenant.json("GET", f"{mail}/content/body").text == raw
    assert upload(tenant, mail, packed({"a.html": raw}), query="?charset=ebcdic").status_code == 400


def test_images_for_several_screens_are_hosted_too(tenant: Tenant, mail: str) -> None:
    html = "<img src='a.gif' srcset='a.gif 1x, images/b.gif 2x, none.gif 3x'><p>a.gif, images/b.gif</p>"
    assert upload(tenant, mail, packed({"m.html": html, "a.gif": GIF, "images/b.gif": GIF})).status_code == 200
    got = tenant.json("GET", f"{mail}/content/body").text
    one, two, three = got.split("srcset='")[1].split("'")[0].split(", ")
    assert (one.endswith("/a.gif 1x"), two.endswith("/b.gif 2x"), three) == (True, True, "none.gif 3x")
    assert one.split()[0] == got.split("src='")[1].split("'")[0]
    assert "<p>a.gif, images/b.gif</p>" in got


def test_html_is_read_and_given_in_its_encoding(tenant: Tenant, mail: str) -> None:
    assert tenant.json("PUT", mail, {"encoding": "iso-8859-15"}).status_code == 200
    raw = "<p>caf\xe9 \u20ac</p>".encode("iso-8859-15")
    assert upload(tenant, mail, packed({"a.htm": raw})).status_code == 200
    got = tenant.json("GET", f"{mail}/content/body")
    assert (got.content, got.headers["content-type"]) == (raw, "text/html;charset=ISO-8859-15")
    assert upload(tenant, mail, packed({"a.htm": "<p>\u4f60\xe9</p>".encode()}), query="?charset=utf8").status_code == 200
    assert tenant.json("GET", f"{mail}/content/body").content == b"<p>&#20320;\xe9</p>"
    refused = upload(tenant, mail, packed({"a.htm": b"<p>\n\xe9</p>"}), query="?charset=UTF-8")
    assert refused.status_code == 400
    assert "line 2" in refused.json()["message"]


@pytest.mark.parametrize(
    ("declared", "codec", "encoding"),
    [
        ("windows-1252", "cp1252", "UTF-8"),
        ("ISO-8859-15", "iso-8859-15", "UTF-8"),
        ("utf-8", "utf-8", "ISO-8859-1"),
        ("iso-8859-1", "utf-8", "UTF-8"),  # as a template was before somebody saved it
        ("unicode", "utf-16", "UTF-8"),
        ("x-unknown", "utf-8", "UTF-8"),
        ("iso-8859-1", "utf-8", "ISO-8859-1"),
        ("ISO-8859-15", "iso-8859-15", "ISO-8859-1"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
def test_html_that_says_what_it_is_in_need_not_be_called_so(
    tenant: Tenant, mail: str, declared: str, codec: str, encoding: str, *, zipped: bool
) -> None:
    assert tenant.json("PUT", mail, {"encoding": encoding}).status_code == 200
    html = f'<HTML><META HTTP-EQUIV="Content-Type" CONTENT="text/html; charset={declared}"><p>f\xfcr 5 \u20ac</p></HTML>'
    if zipped:
        sent = upload(tenant, mail, packed({"a.html": html.encode(codec)}))
    else:
        sent = tenant.call("PUT", f"{mail}/content/body", content=html.encode(codec), headers={"Content-Type": "text/html"})
    assert sent.status_code == 200, sent.text
    got = tenant.call("GET", f"{mail}/content/body")
    assert "<p>f\xfcr 5 \u20ac</p>" in got.content.decode(got.charset_encoding or "").replace("&#8364;", "\u20ac")


@pytest.mark.parametrize(
    ("page", "image"),
    [
        # Windows, where folders end in backslashes, with a code page of DOS; a Mac, which does not say that it writes UTF-8.
        ("mail\\index.htm", "mail\\images\\gr\xfc\xdfe.gif".encode("cp437")),
        ("mail\\index.htm", "mail\\images\\gr\xfc\xdfe.gif".encode("cp1252")),
        ("mail/index.htm", "mail/images/gru\u0308\xdfe.gif".encode()),
        ("mail/index.htm", "mail/Images/GR\xdc\xdfE.gif".encode("cp850")),
    ],
)
@pytest.mark.parametrize("reference", ["images/gr\xfc\xdfe.gif", "images/gr%C3%BC%C3%9Fe.gif", "images/gr%FC%DFe.gif"])
def test_zips_of_every_system_are_read(tenant: Tenant, mail: str, page: str, image: bytes, reference: str) -> None:
    html = f'<p>x</p><img src="{reference}">'
    name = "i" * len(image)
    zipped = packed({page.replace("\\", "/"): html, name: GIF, "__MACOSX/mail/._index.htm": "x", "mail/Thumbs.db": "x"})
    zipped = zipped.replace(name.encode(), image).replace(page.replace("\\", "/").encode(), page.encode())
    sent = upload(tenant, mail, zipped)
    assert sent.status_code == 200, sent.text
    got = tenant.json("GET", f"{mail}/content/body").text
    assert "/i/" in got, got
    assert tenant.client.get(got.split('src="')[1].split('"')[0]).content == GIF


def test_images_that_are_written_into_the_html_are_hosted(tenant: Tenant, mail: str) -> None:
    data = f"data:image/gif;base64,{base64.b64encode(GIF).decode()}"
    html = f"<p style=\"background:url({data})\">x</p><img src='{data[:40]}\n {data[40:]}'><img src='data:image/gif;base64,{'A' * 40}'>"
    for send in (
        lambda: upload(tenant, mail, packed({"a.html": html})),
        lambda: tenant.call("PUT", f"{mail}/content/body", content=html, headers={"Content-Type": "text/html"}),
    ):
        assert send().status_code == 200
        got = tenant.json("GET", f"{mail}/content/body").text
        first, second = re.findall(r"http[^\s\"'<>)]*/i/[^\s\"'<>)]+", got)
        assert first == second
        assert (tenant.client.get(first).content, tenant.client.get(first).headers["content-type"]) == (GIF, "image/gif")
        # What is no image stays, and the checklist tells of it.
        assert got.count("data:") == 1


@pytest.mark.parametrize(
    "content",
    [
        packed({"a.html": "a", "b.html": "b"}),
        packed({"a.txt": "a"}),
        packed({}),
        b"PK\x03\x04 broken",
        b"",
        b"<p>a\0b</p>",
        b"%PDF-1.4 x",
        GIF,
        packed({"a.html": GIF}),
        packed({"a.html": "<meta charset=windows-1250><p>\u0142</p>".encode("cp1250")}),
    ],
)
def test_what_is_no_content_is_refused(tenant: Tenant, mail: str, content: bytes) -> None:
    before = tenant.state()
    refused = upload(tenant, mail, content)
    assert refused.status_code == 400, refused.text
    assert tenant.state() == before


def test_a_form_without_the_file_is_told_so_and_a_file_needs_no_name(tenant: Tenant, mail: str) -> None:
    def sent(name: str, part: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {tenant.api_key}"}
        return tenant.client.post(f"{mail}/content/body", files=[(name, part)], headers=headers)

    before = tenant.state()
    assert faults(sent("file", ("mail.zip", packed({"a.html": "a"})))) == [("inputFile", "file.missing")]
    refused = tenant.call("POST", f"{mail}/content/body", content=b"<p>a</p>", headers={"Content-Type": "text/plain"})
    assert (refused.status_code, "text/html as it is" in refused.json()["message"]) == (415, True)
    assert tenant.state() == before
    assert sent("inputFile", (None, packed({"a.html": "<p>nameless</p>"}))).status_code == 200
    assert tenant.call("GET", f"{mail}/content/body").text == "<p>nameless</p>"


def test_names_that_do_not_exist_are_told_with_their_place(tenant: Tenant, mail: str) -> None:
    near = tenant.call("PUT", f"{mail}/content/subject", content="{{ lastNme }}")
    assert "did you mean lastName? Parameters are announced by PUT .../content/personalisation" in near.json()["message"]
    html = "<p>\n  {{ profile.lastNme }} {{ stayRef }}</p>"
    answer = tenant.call("PUT", f"{mail}/content/body", content=html, headers={"Content-Type": "text/html"})
    assert faults(answer) == [("body", "template.name")] * 2
    messages = [error["message"] for error in answer.json()["errors"]]
    assert messages[0].startswith("line 2, column ")
    assert "lastName" in messages[0]
    assert "no parameter (PUT .../content/personalisation announces parameters)" in messages[1]
    keys = {"personalisations": [{"key": "stayRef", "mandatory": True}]}
    assert tenant.json("PUT", f"{mail}/content/personalisation", keys).status_code == 200
    good = html.replace("lastNme", "lastName")
    answer = tenant.call("PUT", f"{mail}/content/body", content=good, headers={"Content-Type": "text/html"})
    assert answer.status_code == 200, answer.text
    # A key that a content names cannot be taken away.
    refused = tenant.json("PUT", f"{mail}/content/personalisation", {"personalisations": []})
    assert faults(refused) == [("body", "template.name")]


def test_a_target_is_checked_and_counted(tenant: Tenant, mail: str) -> None:
    profiles = "/v5/entities/hotels/profile-tables/Guests/profiles"
    for i in range(5):
        body = {"key": {"emailAddress": f"g{i}@example.com"}, "attributes": {"lastName": "Doe", "points": i}}
        assert tenant.json("PUT", profiles, body).status_code == 201

    def count(target: dict[str, Any]) -> int:
        put = tenant.json("PUT", f"{mail}/target", target)
        assert put.status_code == 200, put.text
        read = tenant.json("GET", f"{mail}/target").json()
        assert {name: read[name] for name in target} == target
        return read["estimatedCount"]

    assert count({}) == 6
    assert count({"filter": "points >= 2"}) == 3
    assert count({"filter": "points >= 2", "exclude": "points = 4", "maxProfiles": 1}) == 1
    assert count({"exclude": "points > 3"}) == 5
    assert count({"subscription": "Newsletter"}) == 0
    keys = {"attribute": "emailAddress", "values": ["G1@example.com", "nobody@example.com"]}
    assert count({"keys": keys}) == 1
    # What was read may be written back; what is misspelt is not everybody.
    assert count({}) == 6
    everybody = tenant.json("GET", f"{mail}/target").json()
    assert tenant.json("PUT", f"{mail}/target", everybody).status_code == 200
    for misspelt in ({"subscripton": "Newsletter"}, {"Filter": "points > 3", "subscription": None}):
        assert faults(tenant.json("PUT", f"{mail}/target", misspelt)) == [(next(iter(misspelt)), "member.unknown")]
    before = tenant.state()
    wrong = {"subscription": "Ghosts", "filter": "pints = 1", "exclude": "(", "maxProfiles": 0, "keys": {"values": ["x"]}}
    refused = {place for place, _ in faults(tenant.json("PUT", f"{mail}/target", wrong))}
    assert refused == {"subscription", "filter", "exclude", "maxProfiles", "keys.values"}
    assert faults(tenant.json("PUT", f"{mail}/target", {"maxProfiles": 2**63})) == [("maxProfiles", "structure.invalid")]
    assert tenant.state() == before
    assert count({"maxProfiles": 2**63 - 1}) == 6


def test_a_table_that_a_campaign_is_for_stays(tenant: Tenant) -> None:
    tenant.campaign()
    table = "/v5/entities/hotels/profile-tables/Guests"
    refused = tenant.json("DELETE", table)
    assert (refused.status_code, refused.json()["code"]) == (409, "table.inUse")
    assert tenant.json("DELETE", f"{MAIL}/SpringOffer").status_code == 204
    assert tenant.json("DELETE", f"{MAIL}/SpringOffer").status_code == 404
    assert tenant.json("DELETE", table).status_code == 204


def test_contents_may_be_as_they_are_elsewhere(tenant: Tenant) -> None:
    number = tenant.campaign()
    assert tenant.json("GET", f"{MAIL}/{number}/content/subject").json() == {"subject": SUBJECT}
    assert tenant.json("GET", f"{MAIL}/{number}/content/body").text == HTML


def test_a_name_is_one_whatever_the_case_of_its_accents(tenant: Tenant) -> None:
    made = tenant.json("POST", MAIL, NEW | {"name": "ÉTÉ à Łódź"}).json()
    assert tenant.json("POST", MAIL, NEW | {"name": "été À łódź"}).json()["code"] == "campaign.nameUsed"
    found = tenant.call("GET", f"{MAIL}/%C3%A9t%C3%A9%20%C3%80%20%C5%82%C3%B3d%C5%BA")
    assert found.json()["campaignId"] == made["campaignId"]


def test_a_campaign_follows_the_name_of_its_table(tenant: Tenant) -> None:
    tables = "/v5/entities/hotels/profile-tables"
    number = tenant.campaign()
    other = tenant.campaign("ById", targetTable=tenant.json("GET", f"{tables}/Guests").json()["id"])
    by_id = tenant.json("GET", f"{MAIL}/{other}").json()["targetTable"]
    rename = {"operations": [{"operation": "rename", "name": "Gasten"}]}
    assert tenant.json("POST", f"{tables}/Guests/change-requests", rename).status_code == 200
    # Another table takes the name that has become free.
    attributes = [{"type": "EMAIL_ADDRESS", "name": "emailAddress"}]
    assert tenant.json("POST", tables, {"name": "Guests", "attributes": attributes}).status_code == 201
    found = tenant.json("GET", f"{MAIL}/{number}").json()
    assert found["targetTable"] == "Gasten"
    listed = tenant.json("GET", MAIL).json()["mailDocuments"]
    assert [each["targetTable"] for each in listed] == ["Gasten", by_id]
    assert tenant.json("PUT", f"{MAIL}/{number}/target", {"filter": "points > 3"}).status_code == 200
    for body in (found, {"displayName": "x"}):
        assert tenant.json("PUT", f"{MAIL}/{number}", body).status_code == 200
        assert tenant.json("GET", f"{MAIL}/{number}").json()["targetTable"] == "Gasten"
    assert tenant.json("GET", f"{MAIL}/{number}/target").json()["estimatedCount"] is not None


def test_a_name_of_digits_means_one_campaign(tenant: Tenant) -> None:
    first = tenant.campaign("1e3")
    used = tenant.json("POST", MAIL, NEW | {"name": f"0{first}"})
    assert (used.status_code, used.json()["code"]) == (409, "campaign.nameUsed")
    assert f"'0{first}' is the id of the campaign '1e3'" in used.json()["message"]
    # A name that is an id to come: ids pass it by.
    names = [str(first + ahead) for ahead in range(2, 5)]
    numbers = {name: tenant.campaign(name) for name in names}
    numbers |= {f"c{i}": tenant.campaign(f"c{i}") for i in range(4)}
    for name, number in numbers.items():
        for reference in (name, number):
            assert tenant.json("GET", f"{MAIL}/{reference}").json()["name"] == name


@pytest.mark.parametrize("name", [".", ".."])
def test_a_name_that_addresses_do_not_carry_is_refused(tenant: Tenant, name: str) -> None:
    assert faults(tenant.json("POST", MAIL, NEW | {"name": name})) == [("name", "structure.nameInvalid")]
