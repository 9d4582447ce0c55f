"""What is printed: names, escaping, filters."""

from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

import msgspec
import pytest
from babel.numbers import format_currency, format_decimal
from liquid.exceptions import LiquidError

from tabellion.platform.templates import PartKind
from tabellion.platform.templates.compiled import Compiled
from tabellion.platform.templates.filters import figures
from tabellion.platform.templates.lexer import scan
from tabellion.platform.templates.literals import locale
from tabellion.platform.templates.vocabulary import resolve

CONTEXT: Mapping[str, object] = {
    "profile": {
        "firstName": "Ann & <Bob>",
        "age": 30,
        "nothing": None,
        "interests": ["SPA", "GOLF"],
        "vip": True,
        "blankText": "",
    },
    "parameters": {"age": "31", "link": "https://example.com/?a=1"},
    "Stays": [
        {"hotel": "Quay", "price": Decimal("1234.50"), "arrival": datetime(2027, 3, 1, 23, 30, tzinfo=UTC)},
        {"hotel": "Dunes", "price": Decimal(80), "arrival": None},
    ],
    "now": "2027-03-01T08:15:00Z",
    "today": "2027-03-01",
}
# As the values come to the process that renders.
NAMES = resolve(
    msgspec.json.Decoder(dict, float_hook=Decimal).decode(msgspec.json.Encoder(decimal_format="number").encode(CONTEXT))
)


def printed(source: str, kind: PartKind = PartKind.TEXT, language: str = "nl", time_zone: str = "Europe/Brussels") -> str:
    spans, faults = scan(source)
    assert faults == []
    return Compiled(spans, source, kind, language, time_zone).printed(NAMES)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ firstName }}|{{ profile.firstName }}|{{ profile['firstName'] }}", "Ann & <Bob>|Ann & <Bob>|Ann & <Bob>"),
        ("{{ age }} {{ profile.age }} {{ parameters.age }}", "31 30 31"),
        ("{{ nothing }}|{{ vip }}|{{ interests }}|{{ Stays[0].price }}|{{ Stays[1].price }}", "|true|SPA, GOLF|1234.50|80"),
        ("{{ Stays.size }} {{ Stays.first.hotel }} {{ Stays.last.hotel }} {{ Stays[9].hotel }}", "2 Quay Dunes "),
        ("{% for s in Stays %}{{ forloop.index }}:{{ s.hotel }}{% unless forloop.last %}, {% endunless %}{% endfor %}", "1:Quay, 2:Dunes"),
        ("{% for s in blankText %}x{% else %}none{% endfor %}", "none"),
        ("{% for i in (1..9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i > 4 %}{% break %}{% endif %}{{ i }}{% endfor %}", "134"),
        ("{% if age == '31' and vip %}a{% elsif nothing %}b{% else %}c{% endif %}", "a"),
        ("{% case firstName %}{% when 'x', 'Ann & <Bob>' %}yes{% else %}no{% endcase %}", "yes"),
        ("{% if Stays[0].price > 1234.4 and Stays[0].price < 1235 %}between{% endif %}", "between"),
        ("{% if interests contains 'SPA' %}spa{% endif %}{% if firstName contains 'nn' %}nn{% endif %}", "spann"),
        ("a  {{- ' b ' -}}  c {%- if vip -%} d {%- endif %} e", "a b cd e"),
        ("{% assign x = 1 %}{% capture y %}[{{ x }}]{% endcapture %}{{ y }}{{ y }}", "[1][1]"),
        ("{{ now }} {{ today }}", "2027-03-01T08:15:00Z 2027-03-01"),
    ],
)  # fmt: skip
def test_values_are_printed(source: str, expected: str) -> None:
    assert printed(source) == expected


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ firstName }}", "Ann &amp; &lt;Bob&gt;"),
        ("{{ '<b>' }}{{ '<b>' | append: firstName }}", "<b><b>Ann &amp; &lt;Bob&gt;"),
        ("{{ firstName | append: '<b>' }}", "Ann &amp; &lt;Bob&gt;<b>"),
        ("{{ firstName | escape }}{{ firstName | escape | escape }}", "Ann &amp; &lt;Bob&gt;" * 2),
        ("{{ firstName | replace: 'Ann', '<i>' }}", "&lt;i&gt; &amp; &lt;Bob&gt;"),
        ("{{ 'x' | replace: 'x', firstName }}{{ 'x' | default: firstName }}{{ nothing | default: firstName }}", "Ann &amp; &lt;Bob&gt;xAnn &amp; &lt;Bob&gt;"),
        ("{{ firstName | upcase }}{{ firstName | strip }}{{ firstName | truncate: 7 }}", "ANN &amp; &lt;BOB&gt;Ann &amp; &lt;Bob&gt;Ann ..."),
        ("{% assign l = firstName | split: ' ' %}{{ l | join: '<br>' }}{{ l }}", "Ann<br>&amp;<br>&lt;Bob&gt;Ann, &amp;, &lt;Bob&gt;"),
        ("{% capture c %}<i>{{ firstName }}</i>{% endcapture %}{{ c }}{{ c | append: firstName }}", "<i>Ann &amp; &lt;Bob&gt;</i>" * 2 + "Ann &amp; &lt;Bob&gt;"),
        # What the author wrote stays what it was, and is not escaped once more.
        ("{% capture c %}<i>{{ firstName }}</i>  &amp; x{% endcapture %}{{ c | squish }}|{{ c | strip_html }}|{{ c | truncatewords: 4, '~' }}", "<i>Ann &amp; &lt;Bob&gt;</i> &amp; x|Ann &amp; &lt;Bob&gt;  &amp; x|<i>Ann &amp; &lt;Bob&gt;</i> &amp;~"),
        ("{% capture c %}a&amp;b,<{% endcapture %}{{ c | split: ',' | concat: firstName | join }}|{{ c | split: ',' }}|{{ firstName | split: ' ' | join }}", "a&amp;b, <, Ann &amp; &lt;Bob&gt;|a&amp;b, <|Ann, &amp;, &lt;Bob&gt;"),
        ("{% capture c %}{{ firstName }}{% endcapture %}{{ c | truncate: 8 }}|{{ c | truncate: 11 }}|{{ c | slice: 4, 3 }}|{{ c | slice: -4, 2 }}", "Ann &amp;...|Ann &amp; &lt;Bob&gt;|&amp; &lt;|Bo"),
        ("{{ firstName | strip_html | squish }}{{ firstName | truncatewords: 1, '<br>' }}", "Ann &amp;Ann<br>"),
        ("<a href=\"{{ link | url_param: 'q', firstName }}\">", '<a href="https://example.com/?a=1&amp;q=Ann%20%26%20%3CBob%3E">'),
        ("{{ firstName | url_encode }}", "Ann%20%26%20%3CBob%3E"),
        ("{{ firstName | newline_to_br }}{{ firstName | strip_html }}", "Ann &amp; &lt;Bob&gt;Ann &amp; "),
    ],
)  # fmt: skip
def test_data_never_becomes_html(source: str, expected: str) -> None:
    assert printed(source, PartKind.HTML) == expected


def test_a_line_has_no_line_breaks() -> None:
    assert printed("a\r\nBcc: x{{ '\r\n' }} \x0b\x1c\x85\u2028 y\t", PartKind.LINE) == "a Bcc: x y"
    # Such as files leave that were read as Latin-1 (a quote in Windows-1252). No header may hold them; everything else it may.
    assert printed("Dear O\x92Brien\x07\x9f {{ '\x1b\x7f' }}é\u202e\u200d\xad👍\ufeff", PartKind.LINE) == (
        "Dear OBrien é\u202e\u200d\xad👍\ufeff"
    )


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("{{ 'a b' | capitalize }} {{ 'A' | downcase }} {{ ' x ' | strip }}|{{ ' x ' | lstrip }}|{{ ' x ' | rstrip }}", "A b a x|x | x"),
        ("{{ 'a  b\n c' | squish }} {{ 'a\r\nb' | strip_newlines }}", "a b c ab"),
        ("{{ 'a-b-a' | replace_first: 'a', 'x' }} {{ 'a-b-a' | remove: 'a' }} {{ 'b' | prepend: 'a' }}", "x-b-a -b- ab"),
        ("{{ 'one two three' | truncatewords: 2 }} {{ 'one' | truncatewords: 2 }} {{ 'abcdef' | truncate: 4, '~' }}", "one two... one abc~"),
        ("{{ 'hello' | slice: 1, 3 }} {{ 'hello' | slice: -3, 2 }} {{ 'hello' | size }}", "ell ll 5"),
        ("{{ nothing | default: 'you' }} {{ blankText | default: 'you' }} {{ 0 | default: 5 }} {{ false | default: 'n' }} {{ false | default: 'n', allow_false: true }}", "you you 0 n false"),
        ("{{ Stays | map: 'hotel' | sort | join: ' + ' }} {{ Stays | sum: 'price' }} {{ Stays | where: 'hotel', 'Quay' | size }} {{ Stays | where: 'arrival' | size }}", "Dunes + Quay 1314.50 1 1"),
        ("{% assign s = Stays | sort: 'price' | first %}{{ s.hotel }} {{ Stays | reverse | map: 'hotel' | first }}", "Dunes Dunes"),
        ("{{ 'a,b,a' | split: ',' | uniq | join }} {{ interests | concat: interests | size }} {{ Stays | map: 'arrival' | compact | size }}", "a, b 4 1"),
        ("{{ 7 | divided_by: 2 }} {{ 7 | modulo: 2 }} {{ 0.1 | plus: 0.2 }} {{ '3' | times: 1.10 }} {{ 1 | minus: 3 | abs }}", "3.5 1 0.3 3.3 2"),
        ("{{ 2.5 | round }} {{ 2.345 | round: 2 }} {{ 2.1 | ceil }} {{ -2.1 | floor }} {{ 5 | at_most: 3 }} {{ 1 | at_least: 3 }}", "3 2.35 3 -3 3 3"),
        ("{{ 1234567.891 | number }} {{ 1234.5 | number: 2 }} {{ 0.125 | percent: 1 }} {{ 1234.5 | number: 0, language: 'en' }} {{ nothing | number }}", "1.234.567,891 1.234,50 12,5% 1,235 "),
        ("{{ Stays[0].price | currency: 'EUR' }} {{ 12 | currency: 'USD', language: 'en' }} {{ 12.5 | currency: 'JPY', language: 'en' }}", "€\xa01.234,50 $12.00 ¥13"),
        ("{{ today | date: 'full' }} {{ today | date: 'long', language: 'fr' }} {{ today | date: '%-d %B %Y' }} {{ today | date: 'd MMM yy' }}", "maandag 1 maart 2027 1 mars 2027 1 maart 2027 1 mrt 27"),
        ("{{ Stays[0].arrival | date: '%d/%m/%Y %H:%M' }} {{ Stays[0].arrival | time }} {{ Stays[0].arrival | time: 'HH.mm', time_zone: 'UTC' }}", "02/03/2027 00:30 00:30 23.30"),
        ("{{ 'now' | date: '%Y' }} {{ 'today' | date: '%F' }} {{ nothing | date: 'long' }}{{ today | date: '100%%' }}", "2027 2027-03-01 100%"),
        ("{{ 0.125 | percent }} {{ 0.145 | percent }} {{ -0.00125 | percent: 2 }} {{ 2.345 | percent: 15 }}", "13% 15% -0,13% 234,500000000000000%"),
        ("{{ -0.4 | round }} {{ -0.004 | round: 2 }} {{ -0.4 | ceil }} {{ -5 | modulo: 5 }} {{ 0 | times: -1 }} {{ -0.4 | number: 0 }}", "0 0.00 0 0 0 0"),
        ("{{ -0.001 | percent }} {{ -0.001 | currency: 'INR', language: 'hi' }} {{ -0.4 | number: 0, language: 'hi' }}", "0% ₹0.00 0"),
        ("{{ '2027-01-01' | date: '%V' }} {{ '2027-01-04' | date: '%V' }} {{ '2027-01-04' | date: '%V', language: 'en' }}", "53 01 01"),
        ("{{ 'http://x/#z' | url_param: 'a b', 'c&d' }} {{ 'http://x?y=1' | url_param: 'a', 1 }}", "http://x/?a%20b=c%26d#z http://x?y=1&a=1"),
    ],
)  # fmt: skip
def test_filters(source: str, expected: str) -> None:
    assert printed(source) == expected


@pytest.mark.parametrize(
    "source",
    [
        "{{ profile }}",
        "{{ Stays }}",
        "{{ unknown }}",
        "{{ profile.unknown }}",
        "{{ 'x' | times: 2 }}",
        "{{ 1 | divided_by: 0 }}",
        "{{ 'soon' | date: 'long' }}",
        "{{ '0001-01-01T00:00:00+23:00' | date: 'long' }}",
        "{{ 1 | round: 'x' }}",
        "{{ 1 | currency: firstName }}",
        "{% if firstName > 3 %}{% endif %}",
    ],
)
def test_what_has_no_value_is_an_error_and_not_a_gap(source: str) -> None:
    with pytest.raises(LiquidError) as raised:
        printed(source)
    assert raised.value.token is not None


@pytest.mark.parametrize(
    "language", ["en", "nl", "fr", "de", "es", "pl", "pt_PT", "it", "sv", "hi", "bn", "ar", "fa", "de_CH", "ja"]
)
def test_every_language_writes_numbers_as_babel_does(language: str) -> None:
    rule = locale(language)
    for value in (
        "0",
        "0.5",
        "-3",
        "12.25",
        "999.99",
        "1000",
        "1234.5",
        "-12345.75",
        "1234567.89",
        "99999999999999999999.5",
    ):
        exact = Decimal(value)
        assert figures.money(exact.quantize(Decimal("0.01")), "EUR", rule) == format_currency(exact, "EUR", locale=rule)
        digits = max(0, -int(exact.as_tuple().exponent))
        assert figures.plain(exact, digits, rule) == format_decimal(exact, locale=rule, decimal_quantization=False)
