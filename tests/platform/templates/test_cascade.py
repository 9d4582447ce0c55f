"""What a mail looks like after its styles have been inlined: the same as before, on every screen, as a browser says."""

import re
import time
from collections.abc import Iterator
from html import escape

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page

from tabellion.platform.templates import Content
from tabellion.platform.templates.cascade import (
    Beaten,
    ahead_of_inlined,
    as_inlined,
    bounds,
    families,
    ready_to_inline,
    without_words,
)
from tabellion.platform.templates.prepare import prepare
from tabellion.platform.templates.stylesheets import declarations
from tests.support.browser import chromium

LOOKS = """() => [...document.body.querySelectorAll('*')].map(e => {
  const s = getComputedStyle(e);
  return [e.tagName, s.color, s.backgroundColor, s.display, s.width, s.paddingTop, s.fontSize, s.fontFamily, s.textAlign].join(' ');
})"""
QUOTED = "() => [...document.querySelectorAll('p')].map(p => getComputedStyle(p)).map(s => s.backgroundImage + s.fontFamily)"


@pytest.fixture(scope="module")
def page() -> Iterator[Page]:
    with chromium() as browser:
        yield browser.new_page()


def looks(page: Page, html: str, *, width: int, dark: bool) -> list[str]:
    page.set_viewport_size({"width": width, "height": 800})
    page.emulate_media(color_scheme="dark" if dark else "light")
    page.set_content(html)
    return page.evaluate(LOOKS)


@pytest.mark.parametrize(
    "sheets",
    [
        # What is for small screens comes before what is for all, without the author having said so.
        "<style>.a{color:#ff0000;width:600px;font:12px Arial} @media (max-width:480px){.a{color:#008000;width:100%;font-size:20px}}</style>",
        "<style>.a{background:#eee;padding:9px} @media (prefers-color-scheme:dark){.a{background-color:#000;color:#fff}}</style>",
        "<style>.a{padding:9px}</style><style media='only screen and (max-width:480px)'>.a{padding:1px;display:block}</style>",
        "<style media='print'>.a{color:#0000ff}</style><style>.a{color:#ff0000}</style>",
        "<style>.a{text-align:center} @media screen{@media (max-width:480px){.a{text-align:right}}} @supports (display:grid){.b{color:#123456}}</style>",
        # What the author made important stays above the rest.
        "<style>.a{width:100px!important} .a{width:300px} @media (max-width:480px){.a{width:50px!important}}</style>",
        # Word's own style sheets, in a comment and with at-rules that no browser knows.
        """<style><!-- /* Font */ @font-face{font-family:"A; }B";panose-1:2 11} p.a, li.a {mso-style-name:"x}";color:#ff0000;
        font-family:"Segoe UI",sans-serif} @page S {size:1pt} @list l0 {mso-list-id:1} @media (max-width:480px){p.a{color:#00ff00}} --></style>""",
        # A value for those who know more, behind one for all.
        '<style>.a{color:#333;color:rgba(0,0,255,.5);background:#222;background:url("data:image/gif;base64,R0;")} .b{color:#f00}</style>',
        # Of rules for small screens those that weigh less, or stand before, come before nothing.
        """<style>@media (max-width:480px){.a{color:#00ff00} p{font-size:9px}} p.a{color:#990000;font-size:40px} .a{padding:3px}
        @media (max-width:480px){td{padding:1px} td.a{padding:7px} .b{margin:0;color:#0000ff}}</style>""",
        """<style media='(max-width:480px)'>.a{color:#00ff00}</style><style>.a{color:#ff0000;width:90px!important}
        @media (max-width:480px){.a{width:50%}}</style>""",
        # Single sides, set before all sides were and again after it, by rules of the same weight.
        "<style>td,p{padding-left:0;margin-bottom:7px} .a{padding:10px 4px;margin:0 auto 3px} p.a{padding-left:0} .a.b,td.a{padding-top:1px}</style>",
        "<style>p{padding-left:1px} .a{padding:10px!important} .b.b{padding:2px} @media (max-width:480px){.a{padding:1px!important}}</style>",
        # Layers are no conditions: what is in none comes before them, whatever it weighs.
        "<style>@layer one,two; p,td{color:#ff0000} @layer two{.a{padding:3px} p.a.b{color:#00ff00}} @layer one{p.a{padding:9px;width:50%}}</style>",
        "<style>@layer one{.a{color:#ff0000} @media (max-width:480px){.a{color:#00ff00}}}</style>",
    ],
)
def test_a_mail_looks_on_every_screen_as_its_author_wrote_it(page: Page, sheets: str) -> None:
    source = f"""<!doctype html><html><head>{sheets}</head><body><div><p class="a">One</p><p class="a b" style="margin:0">Two</p>
    <table><tr><td class="a">Three <a href="https://x.example" class="b">four</a></td></tr></table></div></body></html>"""
    prepared = prepare(Content(html=source))
    assert not prepared.notes
    for width, dark in ((700, False), (400, False), (700, True)):
        assert looks(page, prepared.html, width=width, dark=dark) == looks(page, source, width=width, dark=dark)


@pytest.mark.parametrize(
    ("sheet", "color"),
    [
        (".l{color:#111111} .l:hover{color:#222222}", "rgb(34, 34, 34)"),
        ("a{color:#111111} a:hover,a:active{color:#222222} .l{color:#333333}", "rgb(34, 34, 34)"),
        ("a:hover{color:#222222} td a.l{color:#333333}", "rgb(51, 51, 51)"),
        ("#i{color:#333333} .l:hover{color:#222222}", "rgb(51, 51, 51)"),
        # One for all links, beside buttons.
        ("a{color:#111111} a:hover{color:#222222} td a.l{color:#333333}", "rgb(51, 51, 51)"),
        (".l{color:#111111!important} .l:hover{color:#222222}", "rgb(17, 17, 17)"),
        (".l{color:#111111!important} .l:hover{color:#222222!important}", "rgb(34, 34, 34)"),
    ],
)
def test_what_is_pointed_at_looks_as_its_author_wrote_it(page: Page, sheet: str, color: str) -> None:
    source = f'<html><head><style>{sheet}</style></head><body><table><tr><td><a id="i" class="l" href="#">x</a></table></body></html>'
    for html in (source, prepare(Content(html=source)).html):
        page.set_content(html)
        page.hover("a")
        assert page.evaluate("() => getComputedStyle(document.querySelector('a')).color") == color


@pytest.mark.parametrize(
    "sheet",
    [
        "#c:checked ~ .b{display:block;color:#00ff00} .b{display:none;color:#ff0000}",
        ".b{display:none} :checked ~ p.b,input:checked+p{display:block}",
        ".a:not(.b){width:50px} .b{display:none} @media screen{#c:checked ~ .b{display:block}}",
    ],
)
def test_what_readers_choose_shows_as_its_author_wrote_it(page: Page, sheet: str) -> None:
    """Menus and questions that open without scripts."""
    source = f'<html><head><style>{sheet}</style></head><body><input type="checkbox" id="c"><p class="b">x</p></body></html>'
    looked: list[list[str]] = []
    for html in (source, prepare(Content(html=source)).html):
        page.set_content(html)
        looked.append(page.evaluate(LOOKS))
        page.click("input")
        looked.append(page.evaluate(LOOKS))
    assert looked[:2] == looked[2:]
    assert looked[0] != looked[1]


@pytest.mark.parametrize(
    ("nested", "inner"),
    [
        (".a{color:#ff0000; & b{color:#0000ff}}", "& b"),
        (".a{ b{color:#0000ff} padding:3px}", "b{"),
        (".a{color:#ff0000; @media (max-width:480px){color:#0000ff}}", "@media"),
        ("@media (max-width:480px){.a{> b{color:#0000ff}}}", "> b"),
        (".b{color: {{ x }};b{color:#0000ff}}", "b{color:#0"),
    ],
)
def test_rules_within_rules_stay_and_are_told(page: Page, nested: str, inner: str) -> None:
    source = f"""<html><head><style>p{{margin:1px}}</style>
<style>{nested} .a{{padding:7px}}</style></head><body><p class="a">x<b>y</b></p></body></html>"""
    prepared = prepare(Content(html=source))
    for width in (700, 400):
        assert looks(page, prepared.html, width=width, dark=False) == looks(page, source, width=width, dark=False)
    assert 'style="margin: 1px;"' in prepared.html
    (note,) = prepared.notes
    assert (note.line, note.column, note.code) == (2, len("<style>") + nested.index(inner) + 1, "html.notInlined")
    assert "rule within a rule" in note.message


@pytest.mark.parametrize(
    "css",
    [
        """background:url("a'b.png")""",
        """background:url('a"b.png')""",
        r"""background:url("a\"b\'c.png")""",
        r"""background:url("a\\'b.png")""",
        r"""background:url(a\'b\"c.png)""",
        """font-family:"O'Neil",serif""",
        """/* it's */ background:url("a;'(b).png")""",
    ],
)
def test_quotes_within_quotes_stay_what_they_are(page: Page, css: str) -> None:
    sheet = f"<style>p{{margin:0}} .a{{{css}}} @media print{{.a{{color:red}}}}</style>"
    source = f'<html><head><base href="https://x.example">{sheet}</head><body><p class=a>x</p><p style="{escape(css)}">y</p></body></html>'
    looked: list[list[str]] = []
    for html in (source, prepare(Content(html=source)).html):
        page.set_content(html)
        looked.append(page.evaluate(QUOTED))
    assert looked[0] == looked[1]
    assert looked[0][0] == looked[0][1]


def test_what_an_element_says_itself_stays_when_it_is_pointed_at(page: Page) -> None:
    sheet = "<style>a{color:#111111} a:hover{color:#222222}</style>"
    source = f'<html><head>{sheet}</head><body><a class="l" style="color:#ffffff" href="#">x</a></body></html>'
    page.set_content(prepare(Content(html=source)).html)
    page.hover("a")
    assert page.evaluate("() => getComputedStyle(document.querySelector('a')).color") == "rgb(255, 255, 255)"


def test_a_property_said_twice_is_said_twice_in_the_same_order() -> None:
    html = prepare(
        Content(
            html="""<style>.h{color:red} .a{background:#222;background:linear-gradient(#222,{{ c }});color:#fff;color:rgb(1 2 3)}
            .a:hover{color:red;color:lch(1 2 3)}</style><p class="h a" style="margin:0">x</p>"""
        )
    ).html
    style = html.partition('style="')[2].partition('"')[0]
    assert style.index("background: #222;") < style.index("background: linear-gradient(#222,{{ c }})")
    assert style.index("color: #fff") < style.index("color: rgb(1 2 3)")
    assert "margin:0" in style.replace(" ", "")
    assert ".a:hover { color: red !important; color: lch(1 2 3) !important; }" in html


def test_sides_that_are_set_together_stand_together() -> None:
    sheet = "<style>i{padding-left:1px} .a{padding:1px 2px 3px} .b{padding:4px} .c{padding:1px 2px 3px 4px;margin:calc(1px + 2px)}</style>"
    source = f"{sheet}<p class=a>a</p><p class=b>b</p><p class=c>c</p><p class=a style='padding:0'>d</p>"
    html = prepare(Content(html=source)).html
    assert [style.replace(" ", "").rstrip(";") for style in re.findall('<p class="." style="([^"]*)"', html)] == [
        "padding:1px2px3px", "padding:4px", "padding:1px2px3px4px;margin:calc(1px+2px)",
        "padding-top:1px;padding-right:2px;padding-bottom:3px;padding-left:2px;padding:0",
    ]  # fmt: skip


def test_only_what_was_inlined_is_made_important() -> None:
    sheet = "@media (max-width:1px){.a{color:red;margin-top:1px; line-height:2 /* x */ } /* y */ .b{border:0}} .c{color:red}"
    beaten = Beaten(bounds([(0, ".a{color:x;margin:0} @media print{.b{border:0}} td{font:1px A}")]), {})
    assert ahead_of_inlined(sheet, 1, beaten, whole=False) == (
        "@media (max-width:1px){.a{color:red !important;margin-top:1px !important; line-height:2 !important /* x */ } "
        "/* y */ .b{border:0}} .c{color:red}"
    )
    assert ahead_of_inlined(".c{color:red;border:0}", 1, beaten, whole=True) == ".c{color:red !important;border:0}"
    assert ahead_of_inlined("@media x{@keyframes k{from{color:red}} @font-face{font-family:a}}", 1, beaten, whole=True) == (
        "@media x{@keyframes k{from{color:red}} @font-face{font-family:a}}"
    )


SIGNS = st.text(alphabet=st.sampled_from("{};:()'\"\\/*@media a-b!important url<!-->\n1"), max_size=80)


@given(SIGNS)
@settings(max_examples=400, deadline=None)
def test_any_text_is_gone_through_and_nothing_of_it_is_lost(sheet: str) -> None:
    found = list(declarations(sheet))
    assert [each.start for each in found] == sorted(each.start for each in found)
    changed = ahead_of_inlined(sheet, 1, Beaten(bounds([(0, sheet.replace("@", ""))]), {}), whole=True)
    assert changed.replace(" !important", "") == sheet.replace(" !important", "")
    renamed = ready_to_inline(sheet, "lqd", families([sheet]))
    assert without_words(renamed, "lqd").replace(" ", "") == sheet.replace(" ", "")
    assert as_inlined(sheet, "lqd") == sheet
    assert len(list(declarations(renamed))) == len(found)


def test_long_style_sheets_are_gone_through_in_no_time() -> None:
    began_at = time.process_time()
    for part in ("{", "}", ";", "/*", "'", '"', "url(", "@media{", "a:b;", "\\", "a{b:c}", "!important "):
        list(declarations(part * 30_000))
        ready_to_inline(part * 30_000, "lqd", frozenset({"a", "b"}))
    # A hundred times as long where time goes by the square of the length.
    assert time.process_time() - began_at < 10
