"""The HTML of a campaign as it is uploaded: by itself or in a zip with its images and style sheets, in its encoding."""

import base64
import re
from typing import Any

import httpx
import pytest

from tests.contract.test_campaigns import faults, mail
from tests.support import plain
from tests.support.tenant import Tenant
from tests.support.zips import packed

__all__ = ["mail"]
GIF = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\xff\xff\xff\x00\x00\x00!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"


def upload(tenant: Tenant, mail: str, content: bytes, *, query: str = "", method: str = "POST") -> httpx.Response:
    """Send a content as integrations do."""
    bearer = {"Authorization": f"Bearer {tenant.api_key}", "Accept": "application/json"}
    file = {"inputFile": ("mail.zip", content, "application/zip")}
    return tenant.client.request(method, f"{mail}/content/body{query}", files=file, headers=bearer)


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
