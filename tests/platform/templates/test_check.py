"""What is told of a source when it is defined, and which names it uses."""

import time

import pytest

from tabellion.platform.templates import Kind, Row, Rows, Values, vocabulary
from tabellion.platform.templates.check import check

ALLOWED = vocabulary(
    {"firstName": Kind.TEXT, "birthDate": Kind.DATE, "interests": Values(), "age": Kind.NUMBER, "city": Kind.TEXT},
    tables={"city": {"name": Kind.TEXT}, "Stays": {"hotel": Kind.TEXT, "price": Kind.NUMBER, "arrival": Kind.DATE}},
    parameters={"stayRef": Kind.ANY, "age": Kind.ANY},
    subscriptions=["Monthly news"],
    segmentations={"Tier": Kind.TEXT},
    others={"unsubscribeUrl": Kind.TEXT, "campaign": Row({"name": Kind.TEXT, "links": Rows(Row({"url": Kind.TEXT}))})},
)


def told(source: str) -> list[tuple[int, int, str, str]]:
    return [
        (each.line, each.column, each.code.removeprefix("template."), each.message)
        for each in check(source, ALLOWED).mistakes
    ]


@pytest.mark.parametrize(
    ("source", "code", "message"),
    [
        ("{{ firstname }}", "name", "there is no firstname; did you mean firstName?"),
        ("{{ profile.firstNam }}", "name", "profile has no firstNam; did you mean firstName?"),
        ("{{ zzz }}", "name", "there is no zzz"),
        ("{% for s in Stays %}{{ s.hotl }}{% endfor %}", "name", "Stays has no hotl; did you mean hotel?"),
        ("{{ Stays.first.hotl }}", "name", "Stays has no hotl; did you mean hotel?"),
        ("{{ Stays | sort: 'arival' | size }}", "name", "Stays has no arival; did you mean arrival?"),
        ("{{ subscriptions['Monthly new'] }}", "name", "subscriptions has no Monthly new; did you mean Monthly news?"),
        ("{% for s in Stays %}{% endfor %}{{ s }}", "name", "there is no s"),
        ("{{ profile[firstName] }}", "name", "write the member's name in quotes, such as profile['firstName']"),
        ("{% for s in Stays %}{{ forloop.idx }}{% endfor %}", "name", "this row has no idx; did you mean index?"),
        ("{% for q in firstName %}{% endfor %}", "type", "firstName is no list; for goes through lists"),
        ("{{ Stays }}", "type", "Stays is a custom table and cannot be printed; name a field of it"),
        ("{{ campaign.links }}", "type", "this is a list and cannot be printed; name a field of it"),
        (
            "{{ city }}",
            "type",
            "city is a custom table (the attribute is profile.city) and cannot be printed; name a field of it",
        ),
        ("{{ profile }}", "type", "this is a row and cannot be printed; name a field of it"),
        ("{{ Stays | first }}", "type", "this is a row and cannot be printed; name a field of it"),
        ("{{ Stays.hotel }}", "type", "this is a list of rows: go through it with for, or take the first with .first.hotel"),
        ("{{ firstName.x }}", "type", "this is a value and has no x"),
        ("{{ Stays | upcase }}", "type", "upcase takes a value, and Stays is a custom table; name a field of it"),
        (
            "{{ firstName | append: profile }}",
            "type",
            "append takes values, and this is a row; name a field of it",
        ),
        ("{{ firstName | map: 'x' }}", "type", "map takes a list of rows"),
        ("{{ 1 | upcas }}", "filter", "there is no filter upcas; did you mean upcase?"),
        ("{{ 1 | safe }}", "filter", "there is no filter safe"),
        ("{{ 1 | shout }}", "filter", "there is no filter shout"),
        ("{{ 1 | lowercase }}", "filter", "there is no filter lowercase; did you mean downcase?"),
        ("{{ Stays | map: firstName | join }}", "argument", "name the field in quotes, such as sort: 'arrival'"),
        ("{{ 1 | currency }}", "argument", "currency takes 1 value after the colon, not 0"),
        ("{{ 1 | truncate: 1, 2, 3 }}", "argument", "truncate takes 0 to 2 values after the colon, not 3"),
        ("{{ 1 | upcase: 3 }}", "argument", "upcase takes no value after the colon, not 1"),
        ("{{ 1 | currency: 'euro' }}", "argument", "'euro' is no currency code such as 'EUR'"),
        ("{{ 1 | number: 2, lang: 'nl' }}", "argument", "number has no lang; did you mean language?"),
        ("{{ now | date: 'long', language: 'zz' }}", "argument", "'zz' is no language such as nl or fr_BE"),
        ("{{ now | date: 'long', language: firstName }}", "argument", "language must be written in quotes"),
        ("{{ now | date: 'long', time_zone: 'CET/x' }}", "argument", "'CET/x' is no time zone such as Europe/Brussels"),
        ("{{ now | date: '%Q' }}", "argument", "dates know no %Q"),
        (
            "{{ now | date: 'YYYY-MM-dd' }}",
            "argument",
            "in 'YYYY-MM-dd' YYYY is the year that a week belongs to, another one around New Year; write 'yyyy-MM-dd'",
        ),
        ("{{ now | time: 'DD/MM/yyyy' }}", "argument", "in 'DD/MM/yyyy' DD is the day of the year; write 'dd/MM/yyyy'"),
        ("{{ now | date: 'yyyy-mm-dd' }}", "argument", "in 'yyyy-mm-dd' mm is the minute; write 'yyyy-MM-dd'"),
        ("{{ now | date: 'd.m.yy H:mm' }}", "argument", "in 'd.m.yy H:mm' m is the minute; write 'd.M.yy H:mm'"),
        (
            "{% if profile.age > '5' %}{% endif %}",
            "type",
            "a number and a text cannot be compared by size: write numbers without quotes",
        ),
        (
            "{% if 1 == 1 and birthDate <= 2027 %}{% endif %}",
            "type",
            "a date and a number cannot be compared by size: write numbers without quotes",
        ),
        (
            "{% if Stays > 0 %}{% endif %}",
            "type",
            "a list or a row has no size to be compared; name a value of it, or take its size",
        ),
        ("{{ firstName", "unclosed", "this {{ is never closed; end it with }}"),
        ("{{ firstName }", "unclosed", "this {{ is never closed; end it with }}"),
        ("{{ a {{ firstName }}", "unclosed", "this {{ is never closed; end it with }}"),
        ("{% if firstName", "unclosed", "this {% is never closed; end it with %}"),
        ("{% if firstName %}", "unclosed", "this if is never closed; end it with {% endif %}"),
        ("{% raw %}", "unclosed", "this block is never closed; end it with {% endraw %}"),
        (
            "{% comment %}{% comment %}{% endcomment %}",
            "unclosed",
            "this block is never closed; end it with {% endcomment %}",
        ),
        ("{% endif %}", "tag", "endif closes nothing: there is no open if"),
        ("{% else %}", "tag", "else stands inside case, for, if, unless only"),
        ("{% break %}", "tag", "break stands inside for only"),
        ("{% fro s in Stays %}", "tag", "there is no tag fro; did you mean for?"),
        ("{% include 'x' %}", "tag", "there is no tag include: templates include no files; write the text here"),
        ("{%  %}", "tag", "a tag begins with its name, such as {% if ... %}"),
        ("{% if firstName = 'x' %}{% endif %}", "syntax", None),
        ("{{ firstName ' }}", "syntax", None),
        ("{% for Stays %}{% endfor %}", "syntax", None),
        ("{{ }}", "syntax", None),
        ("{{" + " a" * 300 + "}}", "tooLarge", "an expression has at most 500 characters; take it apart with assign"),
        ("{% if 1 %}" * 25 + "{% endif %}" * 25, "tooLarge", "blocks stand in each other at most 19 deep"),
        ("x" * 1_000_001, "tooLarge", "a part has at most 1,000,000 characters"),
    ],
)
def test_a_problem_says_what_to_do(source: str, code: str, message: str | None) -> None:
    ((_, _, found, said),) = told(source)
    assert found == code
    assert said == message or (message is None and said.startswith("this cannot be read: "))


def test_all_problems_are_told_at_once_each_at_its_place() -> None:
    source = "Dear {{ firstname }},\n{% for s in Stays %}\n  {{ s.hotl | upcas }} {{ x y }}\n{% endfor %}\n{{ 1 | currency: 'euro' }}"
    assert [(line, column, code) for line, column, code, _ in told(source)] == [
        (1, 9, "name"), (3, 6, "name"), (3, 15, "filter"), (3, 29, "syntax"), (5, 8, "argument"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "column"),
    [
        ("{% if firstName == 'Ann' and %}a{% endif %}", 29),
        ("{% if firstName %}{% elsif firstName == %}{% endif %}", 40),
        ("{% for s in %}{% endfor %}", 12),
        ("{% assign x %}", 12),
        ("{{ firstName | }}", 15),
        ("{{ }}", 4),
    ],
)
def test_what_ends_too_early_is_told_where_it_ends(source: str, column: int) -> None:
    assert [(line, found, code) for line, found, code, _ in told(f"Dear\n{source}")] == [(2, column, "syntax")]


@pytest.mark.parametrize(
    "pattern", ["YYYY 'W'ww", "D", "HH:mm", "mm:ss", "d MMMM yyyy", "'mm' yyyy", "%d/%m/%Y", "dd.MM.yyyy HH:mm"]
)
def test_patterns_that_mean_what_they_say_are_taken(pattern: str) -> None:
    assert told(f'{{{{ now | date: "{pattern}" }}}}') == []


def test_blocks_that_do_not_fit_hide_no_other_problem() -> None:
    source = "{% for s in Stays %}{% if s.hotel %}{{ s.hotel }}{{ nme | upcas }}\n{% endfor %}\n{% endcase %}"
    assert [(line, column, code) for line, column, code, _ in told(source)] == [
        (1, 21, "unclosed"), (1, 53, "name"), (1, 59, "filter"), (3, 1, "tag"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "uses"),
    [
        ("Hello", {}),
        ("{{ firstName }} {{ profile.birthDate | date: 'long' }}", {"profile": ["birthDate", "firstName"]}),
        ("{{ stayRef }} {{ age }}", {"parameters": ["age", "stayRef"]}),
        ("{{ profile.age }}", {"profile": ["age"]}),
        ("{% for s in Stays %}{{ s.hotel }}{% endfor %}", {"Stays": ["hotel"]}),
        ("{% for s in Stays reversed %}{% for t in Stays %}{{ t.price }}{{ s['hotel'] }}{% endfor %}{% endfor %}", {"Stays": ["hotel", "price"]}),
        ("{% assign a = Stays | where: 'hotel', firstName | sort: 'arrival' | first %}{{ a.price }}", {"Stays": ["arrival", "hotel", "price"], "profile": ["firstName"]}),
        ("{{ Stays | map: 'price' | sum }} {{ Stays | sum: 'price' }}", {"Stays": ["price"]}),
        ("{% if Stays.size > 2 %}{{ Stays[1].hotel }}{% endif %}{{ Stays.last.arrival }}", {"Stays": ["arrival", "hotel"]}),
        ("{% if subscriptions['Monthly news'] %}{{ segmentations.Tier }}{% endif %}", {"segmentations": ["Tier"], "subscriptions": ["Monthly news"]}),
        ("{{ now | date: 'long' }} {{ unsubscribeUrl }}", {"now": [], "unsubscribeUrl": []}),
        ("{{ campaign.name }}{% for l in campaign.links %}{{ l.url }}{% endfor %}", {"campaign": ["links", "links.url", "name"]}),
        ("{% assign firstName = 'x' %}{{ firstName }}", {}),
        ("{% capture x %}{{ firstName }}{% endcapture %}{{ x | upcase }}", {"profile": ["firstName"]}),
        ("{% for i in (1..3) %}{{ i }}{{ forloop.index }}{% for i in interests %}{{ i }}{% endfor %}{% endfor %}", {"profile": ["interests"]}),
        ("{% case firstName %}{% when 'a', stayRef %}{{ age }}{% else %}{{ now }}{% endcase %}", {"now": [], "parameters": ["age", "stayRef"], "profile": ["firstName"]}),
        ("{% raw %}{{ nothing }}{% endraw %}{% comment %}{{ nothing {% if %}{% endcomment %}{% # nothing %}", {}),
        ("{% unless firstName == blank %}{{ firstName | default: stayRef }}{% endunless %}", {"parameters": ["stayRef"], "profile": ["firstName"]}),
        ("{{ firstName | append: &quot;&lt;&quot; }}{% if age &gt; 3 %}\xa0{% endif %}", {"parameters": ["age"], "profile": ["firstName"]}),
    ],
)  # fmt: skip
def test_the_names_that_a_source_uses(source: str, uses: dict[str, list[str]]) -> None:
    report = check(source, ALLOWED)
    assert report.mistakes == []
    assert report.uses == uses


@pytest.mark.parametrize(
    "source",
    [
        "{{" * 500_000,
        "{{ a " * 200_000,
        "{% if x %}" * 100_000,
        "{% raw %}" * 100_000,
        "{% comment %}" * 70_000,
        "{%" + " " * 900_000,
        "{{ " + "(" * 900_000 + "}}",
        "{{ " + "[" * 490 + "}}",
        "{{ a" + "[b" * 160 + "]" * 160 + "}}",
        "{{ 1" + "|a" * 240 + "}}",
        "{% if " + "a and " * 80 + "a %}{% endif %}",
        "&" * 900_000,
    ],
)
def test_hostile_sources_are_checked_quickly(source: str) -> None:
    began = time.process_time()
    report = check(source, ALLOWED)
    assert len(report.mistakes) <= 100
    assert time.process_time() - began < 2
