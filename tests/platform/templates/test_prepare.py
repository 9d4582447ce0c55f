"""From an author's source to what is rendered: Liquid comes through untouched, whatever parsers stand in between."""

import re

import lxml.html
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tabellion.platform.templates import (
    Cages,
    Content,
    Image,
    Limits,
    Link,
    PartKind,
    fill_links,
    fill_text_links,
    mark_links,
    mark_text_links,
    new_mark,
)
from tabellion.platform.templates.balance import unbalanced
from tabellion.platform.templates.compiled import Compiled
from tabellion.platform.templates.lexer import scan
from tabellion.platform.templates.markup import document
from tabellion.platform.templates.prepare import prepare
from tabellion.platform.templates.shield import shield

LIQUID = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
STYLE = "<style>.a{color:red;margin:0} td{padding:1px} a:hover{color:blue} @media (max-width:600px){.a{color:green}}</style>"
NAMES = {"on": True, "off": False, "name": "Ann & <Bob>", "color": "teal", "url": "https://example.com/?a=1&b=2",
         "rows": [{"x": "1"}, {"x": "2"}]}  # fmt: skip


def made(source: str) -> str:
    prepared = prepare(Content(html=source))
    assert prepared.errors == []
    return prepared.html


def rendered(source: str) -> str:
    spans, faults = scan(source)
    assert faults == []
    return Compiled(spans, source, PartKind.HTML, "en", "UTC").printed(NAMES)


def said(html: str) -> list[str]:
    """The words that a reader sees, and where the links go."""
    tree = lxml.html.document_fromstring(html)
    for each in tree.xpath("//style|//comment()"):
        each.drop_tree()
    return [*tree.text_content().split(), *tree.xpath("//a/@href")]


@pytest.mark.parametrize(
    ("fragment", "expected"),
    [
        ('<p class=a>{{ name | default: "x" }}</p>', '<p class="a" style="color: red;margin: 0;">{{ name | default: "x" }}</p>'),
        ("<p class=a title='{{ name | default: \"x\" }}'>y</p>", '<p class="a" title="{{ name | default: "x" }}" style="color: red;margin: 0;">y</p>'),
        ('<p class="{% if on %}a{% else %}b{% endif %}">y</p>', '<p class="{% if on %}a{% else %}b{% endif %}">y</p>'),
        ("<p {% if on %}class=\"b\"{% else %}id='c'{% endif %} title=t>y</p>", "<p {% if on %}class=\"b\"{% else %}id='c'{% endif %} title=\"t\">y</p>"),
        ("<p {{ name }}>y</p>", "<p {{ name }}>y</p>"),
        ('<p class=a style="width: {{ color }}px">y</p>', '<p class="a" style="color: red;margin: 0;width: {{ color }}px">y</p>'),
        ('<p class=a style="{{ color }};x:y">y</p>', '<p class="a" style="{{ color }};x:y">y</p>'),
        ('<p class=a style="{% if on %}x:y{% endif %}">y</p>', '<p class="a" style="{% if on %}x:y{% endif %}">y</p>'),
        ("<table>{% for r in rows %}<tr>{% if on %}<td>{{ r.x }}</td>{% endif %}</tr>{% endfor %}</table>",
         '<table>{% for r in rows %}<tr>{% if on %}<td style="padding: 1px;">{{ r.x }}</td>{% endif %}</tr>{% endfor %}</table>'),
        ("<table><tbody>{% for r in rows %}<tr><td>1</td></tr>{% endfor %}</tbody></table>",
         '<table><tbody>{% for r in rows %}<tr><td style="padding: 1px;">1</td></tr>{% endfor %}</tbody></table>'),
        ("<select>{% for r in rows %}<option>{{ r.x }}</option>{% endfor %}</select>",
         "<select>{% for r in rows %}<option>{{ r.x }}</option>{% endfor %}</select>"),
        ("<!--[if mso]><p class=a>{{ name }}</p><![endif]-->", "<!--[if mso]><p class=a>{{ name }}</p><![endif]-->"),
        ("<!--[if !mso]><!--><i>{{ name }}</i><!--<![endif]-->", "<!--[if !mso]><!--><i>{{ name }}</i><!--<![endif]-->"),
        ("<![if !mso]>{{ name }}<![endif]>", "<![if !mso]>{{ name }}<![endif]>"),
        ("{% if name &lt; 3 %}x{% endif %}", "{% if name &lt; 3 %}x{% endif %}"),
        ("{{ '<p class=\"a\">' }}", "{{ '<p class=\"a\">' }}"),
        ("{% raw %}<p class=a>{{ x }}</p>{% endraw %}", "{% raw %}<p class=a>{{ x }}</p>{% endraw %}"),
        ("{% comment %}<p class=a>{% endcomment %}", "{% comment %}<p class=a>{% endcomment %}"),
        ("<a href={{ url }}?x=1>l</a>", '<a href="{{ url }}?x=1">l</a>'),
        ("<textarea>{{ name }}</textarea>", "<textarea>{{ name }}</textarea>"),
        ("<h{{ name }}>x</h{{ name }}>", "<h{{ name }}>x</h{{ name }}>"),
        ("<p class=a>&nbsp;&copy; é &#8203;&amp;</p>", '<p class="a" style="color: red;margin: 0;">&nbsp;© é \u200b&amp;</p>'),
    ],
)  # fmt: skip
def test_styles_are_inlined_around_liquid(fragment: str, expected: str) -> None:
    html = made(f"<html><head>{STYLE}</head><body>{fragment}</body></html>")
    assert html.split("<body>")[1].removesuffix("</body></html>") == expected


def test_what_cannot_be_inlined_stays_in_the_style_sheet() -> None:
    html = made(
        f"<head>{STYLE}<style>{{% if on %}}.b{{x:y}}{{% endif %}}</style><style>.c{{x:{{{{ color }}}}}}</style></head><p class=c>"
    )
    assert "a:hover" in html
    assert "@media (max-width:600px){.a{color:green !important}}" in html
    assert "<style>{% if on %}.b{x:y}{% endif %}</style>" in html
    assert '<p class="c" style="x: {{ color }};">' in html
    assert "data-" not in html


def test_a_source_without_styles_is_not_touched() -> None:
    source = "<!doctype HTML><TABLE><TR><td class=a>{{ name }}</TD></table><p>"
    assert made(source) == source


def test_the_doctype_stays_as_it_is() -> None:
    doctype = '<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Transitional//EN" "http://www.w3.org/TR/xhtml1/DTD/xhtml1-transitional.dtd">'
    assert made(f"{doctype}<html><head>{STYLE}</head></html>").startswith(doctype)


def test_a_block_that_tears_elements_apart_is_left_alone_and_told() -> None:
    source = f"{STYLE}\n{{% if on %}}<div class=a>{{% else %}}<div>{{% endif %}}x</div>"
    prepared = prepare(Content(html=source))
    assert prepared.html == source
    assert [(note.line, note.column, note.code) for note in prepared.notes] == [(2, 1, "html.notInlined")]
    for fits in ("{% if on %}<div>x</div>{% else %}<p>{% endif %}", "<div>{% for r in rows %}<br><li>{% endfor %}</div>"):
        assert unbalanced(document(fits)) is None
    for torn in (
        "<div>{% if on %}</div>{% endif %}",
        "<p title='{% if on %}'>{% endif %}",
        "{% for r in rows %}<b>{% endfor %}",
    ):
        assert unbalanced(document(torn)) is not None


def test_styles_that_cannot_be_read_are_told_and_the_mail_goes_on() -> None:
    prepared = prepare(Content(html=f"{STYLE}<p class=a style='x y'>{{{{ name }}}}</p>"))
    assert prepared.notes[0].code == "html.notInlined"
    assert "{{ name }}" in prepared.html


FRAGMENTS = st.sampled_from([
    "{{ name }}", " text ", "<p class=a>", "</p>", "<b>bold</b>", "<br>", "<hr/>", "{% assign q = 1 %}{{ q }}", "<!-- note -->",
    "<a class=a href='{{ url }}'>go</a>", "<a href='https://example.org/?a=1&amp;b={{ name | url_encode }}'>there</a>",
    "{% if on %}<div class=a>yes {{ name }}</div>{% else %}no{% endif %}", "{% if off %}<p>{% endif %}",
    "<table>{% for r in rows %}<tr><td {% if on %}class=a{% endif %}>{{ r.x }}</td></tr>{% endfor %}</table>",
    "<table><tr><td style='color:{{ color }}'>cell</td></tr></table>", "<ul>{% for r in rows %}<li>{{ r.x }}</li>{% endfor %}</ul>",
    "<span style='{% if on %}color:red{% endif %}'>s</span>", "{% comment %}<p>{% endcomment %}", "{% raw %}{{ x }}{% endraw %}",
    "<img src='{{ url }}' alt=\"{{ name }}\">", "{% case name %}{% when 'a' %}A{% else %}<i>B</i>{% endcase %}", "&lt;&eacute;&nbsp;",
    "<td class=a>stray", "</table>", "<div class=a>", "</div>", "{% for r in rows %}<div>{{ forloop.index }}</div>{% endfor %}",
])  # fmt: skip


@given(st.lists(FRAGMENTS, max_size=12))
@settings(max_examples=400, deadline=None)
def test_preparing_changes_no_liquid_and_no_word(fragments: list[str]) -> None:
    source = f"<html><head>{STYLE}</head><body>{''.join(fragments)}</body></html>"
    html = made(source)
    assert LIQUID.findall(html) == LIQUID.findall(source)
    # Where HTML itself is broken, parsers mend it each in their own way; the links and words of what they mended are the same.
    assert sorted(said(rendered(html))) == sorted(said(rendered(source)))


WELL_FORMED = st.sampled_from([
    "<p class=a>{{ name }}</p>", "{% if on %}<div class=a>{% else %}<div>{% endif %}x<b>y</b></div>",
    "{% for r in rows %}<div><i>{{ r.x }}</i></div>{% endfor %}", "<div>{% if off %}</div><div>{% endif %}z</div>",
    "<table>{% for r in rows %}<tr>{% if on %}<td>{{ r.x }}</td>{% endif %}<td>1</td></tr>{% endfor %}</table>",
    "<ul>{% if on %}<li>a<li>b{% else %}<li>c{% endif %}</ul>", "{% if off %}<table><tr><td class=a>n</td></tr></table>{% endif %}",
    "{% if off %}<h1>{% else %}<h2>{% endif %}t{% if off %}</h1>{% else %}</h2>{% endif %}",
    "{% for r in rows %}<section>{% if r.x == '1' %}<u>{% endif %}o{% if r.x == '1' %}</u>{% endif %}</section>{% endfor %}",
])  # fmt: skip


@given(st.lists(WELL_FORMED, min_size=1, max_size=6))
@settings(max_examples=200, deadline=None)
def test_inlining_and_rendering_come_to_the_same_in_either_order(fragments: list[str]) -> None:
    source = f"<html><head>{STYLE}</head><body>{''.join(f'<div>{each}</div>' for each in fragments)}</body></html>"

    def tags(html: str) -> list[str]:
        return [
            tag
            for tag in re.findall(r"</?\w+", html.split("<body>")[1])
            if tag.strip("</") not in {"tbody", "li", "td", "tr"}
        ]

    assert tags(rendered(made(source))) == tags(made(rendered(source)))


@given(st.text(alphabet=st.sampled_from("<>/!-'\"= {}%abstyle&;\n|[]"), max_size=80))
@settings(max_examples=400, deadline=None)
def test_any_text_comes_back_from_the_shield(source: str) -> None:
    shielded = shield(document(source))
    assert shielded.restore(shielded.text).replace(' data-css-inline="ignore"', "") == source
    assert "".join(source[piece.start : piece.end] for piece in document(source).pieces) == source


def test_mjml_becomes_html_with_its_liquid() -> None:
    prepared = prepare(
        Content(
            mjml="""<mjml><mj-head><mj-title>{{ name }}</mj-title><mj-preview>{{ name }} calls</mj-preview>
            <mj-style>.x{color:{{ color }}}</mj-style></mj-head><mj-body>{% if on %}<mj-section><mj-column>
            {% for r in rows %}<mj-text align="{{ color }}" css-class="x">Hi {{ r.x | default: "you" }}{% if r.x < 2 %}<b>!</b>{% endif %}</mj-text>
            {% endfor %}<mj-button href="{{ url }}?a=1&amp;b=2">{{ name }}</mj-button>
            <mj-table>{% for r in rows %}<tr><td>{{ r.x }}</td></tr>{% endfor %}</mj-table></mj-column></mj-section>{% endif %}</mj-body></mjml>"""
        )
    )
    assert (prepared.errors, prepared.notes) == ([], [])
    html = prepared.html
    assert 'align="{{ color }}"' in html
    assert 'Hi {{ r.x | default: "you" }}{% if r.x < 2 %}<b>!</b>{% endif %}' in html
    assert re.search(r"<table[^>]*>\{% for r in rows %\}<tr><td[^>]*>\{\{ r.x \}\}</td></tr>\{% endfor %\}</table>", html)
    assert ">{{ name }} calls</div>" in html
    assert [link.href for link in prepared.links] == ["{{ url }}?a=1&b=2"]
    assert "Hi {{ r.x | default:" in prepared.text


@pytest.mark.parametrize(
    ("mjml", "line", "said"),
    [
        ("<mjml><mj-body>", 1, "this mj-body is never closed; end it with </mj-body>"),
        (
            "<mjml>\n<mj-body><mj-section><mj-column>\n<mj-text>a<br></mj-column></mj-section></mj-body></mjml>",
            3,
            "this mj-text is",
        ),
        ("just text", 1, ""),
    ],
)
def test_mjml_that_cannot_be_read_is_told_with_its_line(mjml: str, line: int, said: str) -> None:
    prepared = prepare(Content(mjml=mjml))
    ((problem,), html) = prepared.errors, prepared.html
    assert (problem.code, problem.line, html) == ("mjml.malformed", line, "")
    assert said in problem.message


def test_mjml_includes_no_files() -> None:
    prepared = prepare(Content(mjml="<mjml><mj-body>\n<mj-include path='/etc/passwd'/></mj-body></mjml>"))
    assert [(each.line, each.code, each.message) for each in prepared.errors] == [
        (2, "mjml.element", "MJML includes no files here; write what is in it in its place")
    ]


def test_mjml_elements_and_attributes_that_do_not_exist_are_told() -> None:
    prepared = prepare(Content(mjml="<mjml>\n<mj-body>\n<mj-sectoin></mj-sectoin></mj-body></mjml>"))
    assert [(each.line, each.code, each.message) for each in prepared.errors] == [
        (3, "mjml.element", "MJML has no element mj-sectoin; did you mean mj-section?")
    ]
    prepared = prepare(
        Content(mjml="<mjml>\n<mj-body><mj-raw>x</mj-raw></mj-body></mjml>".replace("<mjml>", "<mjml a='b'>"))
    )
    assert [(each.line, each.code) for each in prepared.notes] == [(1, "mjml.attribute")]
    assert prepared.errors == []


def test_the_preheader_comes_first_and_is_no_html() -> None:
    prepared = prepare(Content(html="<html><body bgcolor=x>\n<p>Hello</p>", preheader="Hi {{ name }} & <co>"))
    assert re.match(
        r'<html><body bgcolor=x><div style="display:none;[^"]*">Hi \{\{ name \}\} &amp; &lt;co&gt;&#847;', prepared.html
    )
    assert prepared.html.endswith("</div>\n<p>Hello</p>")
    assert prepared.text == "Hello\n"
    assert prepare(Content(html="<p>x", preheader="y")).html.startswith("<div style=")


def test_the_plain_text_reads_like_a_letter() -> None:
    source = """<html><head><title>no</title><style>no</style></head><body><div style="display: none">no<div>no</div></div>
    <h1>Dear&nbsp;{{ name }},</h1><p>Two   words<br>and <b>bo</b>ld &amp; &lt;tag&gt;.</p><!-- no -->
    <ul><li>one</li><li>two <a href="https://example.com/?a=1&amp;b={{ name }}">here</a></li></ul><hr>
    <table><tr><td>a</td><td>b</td></tr>{% for r in rows %}<tr><td>{{ r.x }}</td><td>c</td></tr>{% endfor %}</table>
    <a href="{{ url }}"><img src="x.gif" alt="Our shop"></a> <a href="mailto:a@example.com">a@example.com</a></body></html>"""
    assert prepare(Content(html=source)).text == (
        "Dear {{ name }},\n\nTwo words\nand bold & <tag>.\n\n- one\n- two here (https://example.com/?a=1&b={{ name }})\n\n"
        "--------------------\n\na b\n{% for r in rows %}\n{{ r.x }} c\n{% endfor %}\n\nOur shop ({{ url }}) a@example.com\n"
    )


def test_the_plain_text_says_each_thing_once_and_nothing_that_is_hidden() -> None:
    source = """<div style="max-height:0px;overflow:hidden;mso-hide:all">no</div><span style="visibility:hidden">no</span>
    <div style="line-height:0;overflow:hidden">Yes</div><a href="https://example.com/" style="mso-hide:all">https://example.com/</a>
    <a href="https://a.example">A</a><a href="https://b.example">B</a>, <a href="https://c.example">C</a>.
    <p>&#847;&zwnj;&nbsp;&#8199;&shy;&#847;\u200d \U0001f469\u200d\U0001f467 &#1605;&#1740;&zwnj;&#1582;</p><ol><li>one<ul><li>deep</li></ul></li>{% for r in rows %}<li>two</li>{% endfor %}</ol><li>none</li>"""
    assert prepare(Content(html=source)).text == (
        "Yes\nhttps://example.com/ A (https://a.example) B (https://b.example), C (https://c.example).\n\n"
        "\U0001f469\u200d\U0001f467 \u0645\u06cc\u200c\u062e\n\n1. one\n  - deep\n{% for r in rows %}\n2. two\n{% endfor %}\n\n- none\n"
    )


def test_the_plain_text_says_no_address_that_leads_to_no_page() -> None:
    links = "".join(
        f"<a href='{each}'>x</a> " for each in ("SMS:+32", "javascript:x()", "Mailto:a@b.example", "tel:1", "#top")
    )
    assert prepare(Content(html=f"<p>{links}</p>")).text == "x x x x x\n"


def test_an_own_text_is_kept() -> None:
    prepared = prepare(Content(html="<p>a</p>", text="b {{ name }}"))
    assert (prepared.text, prepared.text_is_own) == ("b {{ name }}", True)


def test_links_and_images_are_listed() -> None:
    source = """<a href="https://a.example/?x=1&amp;y=2">A <b>b</b></a><a name=x>no</a><A HREF='{{ url }}'><img src="i.gif"></A>
    <map><area href="tel:+32"></map><!-- <a href=no> --><img src="{{ url }}" alt=""><a href="/x{% if on %}y{% endif %}">r</a>"""
    prepared = prepare(Content(html=source))
    assert prepared.links == [
        Link(0, "https://a.example/?x=1&y=2", dynamic=False, text="A b"),
        Link(1, "{{ url }}", dynamic=True),
        Link(2, "tel:+32", dynamic=False),
        Link(3, "/x{% if on %}y{% endif %}", dynamic=True, text="r"),
    ]
    assert [link.scheme for link in prepared.links] == ["https", "", "tel", ""]
    assert prepared.images == [Image("i.gif", None, dynamic=False), Image("{{ url }}", "", dynamic=True)]
    assert prepared.bytes == len(source)


def test_marked_links_are_filled_after_rendering() -> None:
    mark = new_mark()
    source = (
        "<a href='{{ url }}'>{{ name }}</a><a href=https://b.example>b</a><a href='mailto:x@y'>m</a>"
        '{% for r in rows %}<a href="https://c.example/{{ r.x }}?a=1&amp;b=2">c</a>{% endfor %}'
    )
    marked = mark_links(source, mark, lambda link: link.scheme in {"http", "https"} or link.dynamic)
    seen: list[tuple[int, str]] = []

    def tracked(index: int, address: str) -> str:
        seen.append((index, address))
        return f'https://t.example/{len(seen)}?"&'

    html = fill_links(rendered(marked).encode(), mark, tracked).decode()
    assert seen == [
        (0, NAMES["url"]), (1, "https://b.example"), (3, "https://c.example/1?a=1&b=2"), (3, "https://c.example/2?a=1&b=2"),
    ]  # fmt: skip
    assert mark not in html
    assert said(html)[-5:] == [
        *(f'https://t.example/{n}?"&' for n in (1, 2)),
        "mailto:x@y",
        *(f'https://t.example/{n}?"&' for n in (3, 4)),
    ]
    assert "Ann &amp; &lt;Bob&gt;" in html


def test_addresses_are_read_as_browsers_read_them() -> None:
    source = """<a href="https://a.example/?a=1&currency=EUR&copy=2&section=3&regx=4&amp;b=5&#38;c=6&notit;&lt;">a</a>
    <a href=" https://a.example/
      path?x=1 ">b</a><a href="{% if on
    and off %}https://a.example/{% endif %}">c</a>"""
    first, second, third = (link.href for link in prepare(Content(html=source)).links)
    assert first == "https://a.example/?a=1&currency=EUR&copy=2&section=3&regx=4&b=5&c=6&notit;<"
    assert second == "https://a.example/      path?x=1"
    assert third == "{% if on\n    and off %}https://a.example/{% endif %}"
    assert "(https://a.example/?a=1&currency=EUR&copy=2" in prepare(Content(html=source)).text
    filled: list[str] = []
    marked = mark_links(source, "lk", lambda _: True)
    fill_links(rendered(marked).encode(), "lk", lambda _, address: filled.append(address) or "")
    assert filled[:2] == [first, second]


def test_links_that_only_outlook_reads_are_links() -> None:
    source = """<!--[if mso]><v:roundrect href="https://a.example/?a=1&amp;b={{ name }}" arcsize="10%"><w:anchorlock/>
    <center>Buy</center></v:roundrect><a href=https://b.example>b</a><![endif]--><!--[if !mso]><!-- --><a href="https://c.example">c</a>
    <!--<![endif]--><!-- <a href="https://no.example">no</a> --><![if !mso]><a href="https://d.example">d</a><![endif]>
    <!--[if (gte mso 9)|(IE)]>{% if on %}<a href="https://e.example">e</a>{% endif %}<![endif]-->"""
    prepared = prepare(Content(html=f"{STYLE}{source}"))
    assert [(link.href, link.text) for link in prepared.links] == [
        ("https://a.example/?a=1&b={{ name }}", "Buy"), ("https://b.example", "b"), ("https://c.example", "c"),
        ("https://d.example", "d"), ("https://e.example", "e"),
    ]  # fmt: skip
    marked = mark_links(prepared.html, "lk", lambda _: True)
    filled = fill_links(rendered(marked).encode(), "lk", lambda index, _: f"https://t.example/{index}").decode()
    assert re.findall(r'href="([^"]*)"', filled) == [f"https://t.example/{index}" for index in (0, 1, 2)] + [
        "https://no.example", "https://t.example/3", "https://t.example/4",
    ]  # fmt: skip
    assert "<!--[if mso]><v:roundrect href" in filled


HOSTILE = {
    "deep elements": "<div>" * 150_000 + STYLE,
    "deep tables": "<table><tr><td>" * 50_000 + STYLE,
    "open tags": "<a " * 300_000,
    "open comments": "<!--" * 250_000,
    "open quotes": "<a b='" * 150_000,
    "open titles": "<title>" * 140_000,
    "open styles": STYLE + "<style>" * 140_000,
    "many attributes": "<p " + " ".join(f"a{n}=x" for n in range(100_000)) + ">" + STYLE,
    "one rule for each element": "<style>"
    + "".join(f".a{n}{{x:y}}" for n in range(20_000))
    + "</style>"
    + "<p class=a1>" * 20_000,
    "selectors": "<style>" + "*" * 200_000 + "{x:y}</style><p>",
    "slow selectors": "<style>" + " ".join(["div"] * 2_000) + " b{x:y}</style>" + "<div>" * 20_000,
    "slow has": "<style>" + ":has(*:not(b))" * 300 + "{x:y}</style>" + "<div>" * 5_000,
    "open rule": "<style>" + "a{" * 300_000 + "</style><p>",
    "liquid everywhere": STYLE + "{{a}}" * 190_000,
    "liquid in attributes": STYLE + "<p {{a}}='{{b}}'>" * 50_000,
}
DEEP_MJML = "<mjml><mj-body>" + "<mj-wrapper>" * 60_000 + "</mj-wrapper>" * 60_000 + "</mj-body></mjml>"


@pytest.mark.timeout(240)
async def test_hostile_sources_end_in_their_cage() -> None:
    async with Cages(1, Limits(define_cpu_s=2)) as cages:
        for name, source in HOSTILE.items():
            prepared = await cages.prepare(Content(html=source))
            assert prepared.errors or prepared.html, name
        deep = await cages.prepare(Content(mjml=DEEP_MJML))
        assert deep.errors
        fine = await cages.prepare(Content(html=f"{STYLE}<p class=a>{{{{ name }}}}</p>"))
        assert 'style="color: red;margin: 0;">{{ name }}</p>' in fine.html


async def test_nothing_is_loaded_from_disk_or_network(tmp_path: object) -> None:
    source = f"""<head><link rel=stylesheet href="/etc/passwd"><link rel="stylesheet" href="file:///etc/passwd">
    <link rel=stylesheet href="http://127.0.0.1:1/x.css"><style>@import url(/etc/passwd);</style>{STYLE}</head><p class=a>x</p>"""
    async with Cages(1) as cages:
        prepared = await cages.prepare(Content(html=source))
    assert prepared.errors == []
    assert "root:" not in prepared.html
    assert prepared.html.count("/etc/passwd") == 3, "they are the author's, and stay"


@pytest.mark.parametrize(
    "source",
    [
        "<style>.a{color:red}</style>{% if off %}<p class=a>no</p>{% else %}<p>yes</p>{% endif %}",
        "<!doctype html><style>.a{color:red}</style>\n<![if !mso]>{% for row in rows limit: 1 %}yes<i class=a></i>{% endfor %}<![endif]>",
        "<!doctype html><html><title>x</title><style>.a{color:red}</style>{{ name }}: yes<p class=a></p></html>",
        "{% assign x = 1 %}<!doctype html><html><head><style>.a{color:red}</style>{% if off %}<meta name=x>{% endif %}</head><body>yes<p class=a></p></body></html>",
    ],
)
def test_liquid_behind_styles_is_in_the_text_too(source: str) -> None:
    prepared = prepare(Content(html=source))
    assert 'class="a" style="color: red;"' in prepared.html
    assert rendered(prepared.text).split()[-1] == "yes"
    assert "yes" in said(rendered(prepared.html))
    assert ("doctype" in source) == (re.match(r"({%.*?%})?<!doctype html>", prepared.html) is not None)


def test_braces_that_are_no_liquid_are_none_in_the_text() -> None:
    prepared = prepare(
        Content(html="<p>Write &#123;&#123; name &rcub;} or {<b>% if</b> {<i>{</i> x, {% if on %}{{ name }}{</p>{% endif %}")
    )
    assert prepared.html.startswith("<p>Write &#123;&#123; name")
    assert scan(prepared.text)[1] == []
    assert " ".join(rendered(prepared.text).split()) == "Write {{ name }} or {% if {{ x, Ann &amp; &lt;Bob&gt;{"


@pytest.mark.parametrize(
    ("source", "before"),
    [
        (
            "<!doctype html><html><head><title>x</title></head><p>y</p></html>",
            "<!doctype html><html><head><title>x</title></head>",
        ),
        ("<!doctype html><html lang=en><p>y</p>", "<!doctype html><html lang=en>"),
        ("<!doctype html><p>y</p>", "<!doctype html>"),
        ("<html><body class=a><p>y</p></body></html>", "<html><body class=a>"),
        ("<p>y</p><!-- <head></head> -->", ""),
        # Only Outlook, or only others, read what stands between these.
        ("<!doctype html><p>y</p><![if !mso]><p>z</p><![endif]>", "<!doctype html>"),
        ("<html><body><table><tr><td>y<?xml:namespace prefix = o /><o:p></o:p></td></tr></table>", "<html><body>"),
        ("<html><body><p>y</p><blockquote><html><head></head><p>z</p></html></blockquote>", "<html><body>"),
        ('<?xml version="1.0"?><p>y</p>', '<?xml version="1.0"?>'),
    ],
)
def test_a_preheader_is_first_in_what_is_shown(source: str, before: str) -> None:
    assert prepare(Content(html=source, preheader="Pre")).html.startswith(f'{before}<div style="display:none;')


def test_addresses_in_kept_texts_reach_filters_as_they_were_written() -> None:
    source = (
        "{% capture page %}\nhttps://a.example/p\n{% endcapture %}"
        '<a href="https://share.example/?u={{ page | strip | url_encode }}">Share</a>'
        '{% capture one %}<a href="https://a.example/one">One</a>{% endcapture %}{{ one }}'
        '{% capture two %}<a href="https://a.example/two">Two</a>{% endcapture %}{{ two | upcase }}'
        '{% capture inner %}<a href="https://a.example/in">In</a>{% endcapture %}{% capture around %}{{ inner }}{% endcapture %}'
        "{% assign all = around %}{{ all }}<p>{{ around | size }}</p>"
        '{% capture path %}https://a.example/path now{% endcapture %}<a href="https://b.example/{{ path }}">B</a>'
    )
    prepared = prepare(Content(html=source))
    html = fill_links(rendered(mark_links(prepared.html, "lk", lambda _: True)).encode(), "lk", lambda index, _: f"T{index}")
    assert re.findall(rb'href="([^"]*)"', html, re.IGNORECASE) == [
        b"T0", b"T1", b"HTTPS://A.EXAMPLE/TWO", b"https://a.example/in", b"T4",
    ]  # fmt: skip
    assert b"<p>37</p>" in html

    def told(index: int, address: str) -> str:
        return f"T{index}:{address}"

    text = fill_text_links(rendered(mark_text_links(prepared.text, "lk")).encode(), "lk", told).decode()
    assert "Share (T1:https://share.example/?u=https%3A%2F%2Fa.example%2Fp)" in text
    assert "One (T2:https://a.example/one)" in text
    assert "TWO (HTTPS://A.EXAMPLE/TWO)" in text
    assert "B (T6:https://b.example/https://a.example/path now)" in text
