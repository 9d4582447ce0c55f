"""The list before the launch."""

import time

import pytest

from tabellion.platform.templates import Content, Prepared, Severity, checklist
from tabellion.platform.templates.images import images, style_parts
from tabellion.platform.templates.markup import document
from tabellion.platform.templates.prepare import prepare

FOOT = (
    "<p>"
    + "Many good words about our hotel by the sea and its garden. " * 3
    + "</p><a href='{{ unsubscribeUrl }}'>Unsubscribe</a>"
)


def codes(html: str = "", subject: str = "Spring by the sea", text: str = "") -> list[str]:
    prepared = prepare(Content(html=html + FOOT, text=text))
    return [finding.code for finding in checklist(subject, prepared, unsubscribe=["unsubscribeUrl"])]


def test_a_good_mail_has_no_findings() -> None:
    html = (
        "<p>Dear {{ firstName }}, <a href='https://example.com'>example.com</a> <img src='https://x.example/a.gif' alt=''>"
    )
    assert codes(html, subject="{{ firstName }}, spring 2027 by the SEA") == []


@pytest.mark.parametrize(
    ("subject", "found"),
    [
        ("", ["subject.empty"]),
        (" \t", ["subject.empty"]),
        ("x" * 251, ["subject.tooLong"]),
        ("x" * 71, ["subject.long"]),
        ("{{ firstName | default: 'a very long fallback that nobody will ever see' }}, x", []),
        ("SPRING BY THE SEA", ["subject.capitals"]),
        ("LENTE {{ firstName }}", []),
        ("Now!!", ["subject.shouting"]),
        ("Save $$$", ["subject.shouting"]),
        ("Re: your stay", ["subject.reply"]),
    ],
)
def test_subjects(subject: str, found: list[str]) -> None:
    assert codes(subject=subject) == found


@pytest.mark.parametrize(
    ("html", "found"),
    [
        ("<a href='www.example.com'>x</a>", ["link.scheme"]),
        ("Dear *|FNAME|*", ["template.foreign"]),
        ("<table><tr><td background='images/bg.gif'>x</td></tr></table>", ["image.source"]),
        ("<p style='background:#fff url(&quot;../bg.gif&quot;) 0 0'>x</p>", ["image.source"]),
        ("<!--[if mso]><v:fill src='bg.gif'/><img src='a.gif' alt=''><![endif]-->", ["image.source", "image.source"]),
        (
            "<p style='background:url(https://x.example/a.gif)'>x</p><p style='background:url(data:image/png;base64,A)'>x</p>",
            [],
        ),
        ("Dear %%first name%% and [[LAST]], <%= code %>", ["template.foreign"]),
        ("Dear %%=v(@first)=%%", ["template.foreign"]),
        ("%%[ SET @a = 1 ]%% and 20%% = 30%%", ["template.foreign"]),
        ("Dear ${profile.firstName}", ["template.foreign"]),
        ("Dear ${firstName!'guest'}", ["template.foreign"]),
        ("Dear $!{firstName}", ["template.foreign"]),
        ("Dear {$name}", ["template.foreign"]),
        ("50%% off at 7% [1] [[1]] C## a*|b|*", []),
        ("for ${{ price }}, or ${% if vip %}5{% else %}{{ price }}{% endif %} {a} $5 {", []),
        ("<a href='javascript:alert(1)'>x</a>", ["link.scheme"]),
        ("<a href='ftp://example.com'>x</a>", ["link.scheme"]),
        ("<a href=''>x</a>", ["link.empty"]),
        ("<a href='#top'>x</a><a href='mailto:a@b.example'>x</a><a href='tel:+321'>x</a><a href='{{ url }}'>x</a>", []),
        ("<a href='https://{{ host }}/x'>x</a>", []),
        ("<a href='http://example.com'>x</a>", ["link.insecure"]),
        ("<a href='https://bit.ly/x'>x</a>", ["link.shortener"]),
        ("<a href='https://10.0.0.1/x'>x</a>", ["link.numeric"]),
        ("<a href='https://evil.example'>bank.com</a>", ["link.misleading"]),
        ("<a href='https://evil.example'>https://bank.com</a>", ["link.misleading"]),
        ("<a href='https://www.bank.com/login'>bank.com</a>", []),
        ("<img src='https://x.example/a.gif'>", ["image.alt"]),
        ("<img src='a.gif' alt=''>", ["image.source"]),
        ("<img src='file:///c/a.gif' alt=''>", ["image.source"]),
        ("<img src='' alt=''>", ["image.empty"]),
        ("<img src='{{ photo }}' alt=''>", []),
        ("<img src='images/{{ photo }}.png' alt=''>", ["image.source"]),
        ("<img src='https://x.example/{{ photo }}.png' alt=''>", []),
        (
            "<img src='https://x.example/a.gif' srcset='https://x.example/b.gif 1.5x, images/c.gif 2x' alt=''>",
            ["image.source"],
        ),
        (
            "<picture><source srcset='a,b.webp 600w,c.webp 9w'><img src='https://x.example/a.gif' alt=''></picture>",
            ["image.source"] * 2,
        ),
        (
            "<img src='https://x.example/a.gif' srcset='{{ photo | append: \".png, x\" }} 2x,data:image/gif;base64,R0 3x' alt=''>",
            [],
        ),
        ("<video poster='p.jpg'></video>", ["image.source", "html.element"]),
        (
            "<style>@media print{a{background:url(bg.gif)}} b:hover{background:URL('x y.gif')} /* url(c.gif) */</style>",
            ["image.source"] * 2,
        ),
        (
            "<style>.x{background:url(bg.gif)} a:hover{color:{{ c }};background:url({{ photo }})}</style><p class=x>x</p>",
            ["image.source"],
        ),
        ("<!--[if mso]><style>td{background:url(bg.gif)}</style><![endif]-->", ["image.source"]),
        ("<link rel='stylesheet' href='css/mail.css'><link rel='icon' href='x.ico'>", ["style.source"]),
        (
            "<style>@import 'a.css';@import url(\"b.css\");@font-face{font-family:X;src:url(x.woff2),url(https://x.example/x.ttf)}</style>",
            ["style.source"] * 3,
        ),
        (
            "<link rel='stylesheet' href='https://x.example/a.css'><style>@import url(https://x.example/css?family=A:wght@400;700);p{margin:0}</style>",
            [],
        ),
        ("<script>x</script><form></form>", ["html.element", "html.element"]),
        ("<p>" + "é" * 50_001 + "</p>", ["html.large"]),
    ],
)
def test_html(html: str, found: list[str]) -> None:
    assert codes(html) == found


def test_images_without_alt_text_are_counted() -> None:
    def told(*sources: str) -> list[str]:
        prepared = prepare(Content(html="".join(f"<img src='https://x.example/{each}'>" for each in sources) + FOOT))
        return [
            each.message
            for each in checklist("Spring", prepared, unsubscribe=["unsubscribeUrl"])
            if each.code == "image.alt"
        ]

    assert told("a.gif") == ["the image 'https://x.example/a.gif' has no alt text"]
    assert told("a.gif", "b.gif") == ["2 images, such as 'https://x.example/a.gif', have no alt text"]


@pytest.mark.parametrize("said", ["\u26a14email", "amp4email data-css-strict", "lang=en AMP4EMAIL"])
def test_amp_is_told_for_what_it_is(said: str) -> None:
    boilerplate = "<style amp4email-boilerplate>body{visibility:hidden}</style>"
    html = f"<!doctype html><html {said}><head>{boilerplate}</head><body><amp-img src=a.gif></amp-img>{FOOT}</body></html>"
    found = {each.code: each for each in checklist("Hi", prepare(Content(html=html)), unsubscribe=["unsubscribeUrl"])}
    assert "text.missing" not in found
    assert (
        found["html.amp"].message == "the HTML is AMP for e-mail, of which mail programs show nothing in the place of HTML"
    )


def test_a_mail_without_unsubscribe_link_cannot_be_launched() -> None:
    html = (
        "<p>" + "word " * 30 + "{% comment %}{{ unsubscribeUrl }}{% endcomment %} unsubscribeUrl {{ unsubscribeUrls }}</p>"
    )
    findings = checklist("Hi", prepare(Content(html=html)), unsubscribe=["unsubscribeUrl"])
    assert [(each.severity, each.code) for each in findings] == [
        (Severity.ERROR, "html.unsubscribe"),
        (Severity.WARNING, "text.unsubscribe"),
    ]
    assert findings[0].advice == "add {{ unsubscribeUrl }}"
    assert checklist("Hi", prepare(Content(html=html)), unsubscribe=None) == []


def test_parts_that_are_missing_and_mails_of_images() -> None:
    assert [each.code for each in checklist("Hi", Prepared(), unsubscribe=[])] == ["html.missing"]
    image = prepare(Content(html="<img src='https://x.example/a.gif'>"))
    assert [each.code for each in checklist("Hi", image, unsubscribe=["u"])] == [
        "html.unsubscribe",
        "text.missing",
        "html.imagesOnly",
        "image.alt",
    ]
    assert codes(text="own text without the link") == ["text.unsubscribe"]


def test_whether_a_mail_is_all_images_is_seen_in_its_html_whatever_its_text_says() -> None:
    html = "<img src='https://x.example/a.gif' alt='Spring'> <a href='{{ u }}'>Leave</a>"
    found = checklist("Hi", prepare(Content(html=html, text="{{ u }} " + "word " * 50)), unsubscribe=["u"])
    assert [each.code for each in found] == ["html.imagesOnly"]
    words = "<p>" + "word " * 50 + "</p>"
    assert checklist("Hi", prepare(Content(html=html + words, text="{{ u }} Hi")), unsubscribe=["u"]) == []


def test_what_a_mail_loads_is_found_in_no_time() -> None:
    began_at = time.process_time()
    for part in (
        '<img srcset="',
        "<img srcset='a ",
        "<a b=",
        "<style>url(",
        "<style>@import '",
        "<style>a{b:url(c)}",
        "<style>/*",
    ):
        doc = document(part * 10_000)
        images(doc)
        style_parts(doc)
    assert time.process_time() - began_at < 5
