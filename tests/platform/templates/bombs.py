"""Fifty templates that want more than they may have. `CONTEXT` is what they are rendered with."""

CONTEXT = {
    "profile": {"firstName": "Ann", "long": "ab " * 60_000, "angles": "<" * 200_000, "age": 30},
    "Stays": [{"hotel": f"Hotel {n}", "price": n} for n in range(500)],
}

_GROW = "{% assign x = 'aaaaaaaaaa' %}{% for i in (1..40) %}{% assign x = x | STEP %}{% endfor %}{{ x }}"
_NEST = "{% for a in Stays %}{% for b in Stays %}{% for c in Stays %}BODY{% endfor %}{% endfor %}{% endfor %}"
_MANY = "{% assign l = Stays | concat: Stays | concat: Stays | concat: Stays %}{% assign l = l | concat: l | concat: l %}"

BOMBS = {
    # loops
    "range loop": "{% for i in (1..2000000000) %}x{% endfor %}",
    "range loop, silent": "{% for i in (1..2000000000) %}{% endfor %}",
    "nested range loops": "{% for i in (1..9999) %}{% for j in (1..9999) %}x{% endfor %}{% endfor %}",
    "nested loops over rows": _NEST.replace("BODY", "x"),
    "nested loops, silent": _NEST.replace("BODY", ""),
    "nested loops that assign": _NEST.replace("BODY", "{% assign z = a.hotel | append: b.hotel %}"),
    "loop after loop": "{% for i in (1..9000) %}{{ i }}{% endfor %}" * 100,
    "deep loops of two": "".join(f"{{% for a{n} in (1..2) %}}" for n in range(19)) + "x" + "{% endfor %}" * 19,
    "loop over a huge range by variable": "{% assign n = 1000000000 | times: 1000000000 %}{% for i in (1..n) %}x{% endfor %}",
    "loop from far below": "{% for i in (-2000000000..2000000000) %}x{% endfor %}",
    "loop with limit": "{% for i in (1..2000000000) limit: 1999999999 %}x{% endfor %}",
    "loop with offset": "{% for i in (1..2000000000) offset: 5 %}x{% endfor %}",
    "reversed loop": "{% for i in (1..2000000000) reversed %}x{% endfor %}",
    "range beyond the machine": "{% for i in (1..99999999999999999999999999) %}x{% endfor %}",
    # ranges in filters and comparisons
    "range joined": "{{ (1..2000000000) | join }}",
    "range reversed": "{{ (1..2000000000) | reverse | first }}",
    "range sorted": "{{ (1..2000000000) | sort | first }}",
    "range uniq": "{{ (1..2000000000) | uniq | size }}",
    "range last": "{{ (1..2000000000) | last }}",
    "range sum": "{{ (1..2000000000) | sum }}",
    "range map": "{{ (1..2000000000) | map: 'x' }}",
    "range where": "{{ (1..2000000000) | where: 'x' }}",
    "range concat": "{{ Stays | concat: (1..2000000000) | size }}",
    "range contains": "{% if (1..2000000000) contains 'x' %}x{% endif %}",
    "range contains in a loop": "{% for i in (1..9999) %}{% if (1..2000000000) contains 'x' %}x{% endif %}{% endfor %}",
    "range equals range": "{% for i in (1..9999) %}{% if (1..2000000000) == (1..2000000000) %}{% endif %}{% endfor %}x",
    # texts that grow
    "append doubles": _GROW.replace("STEP", "append: x"),
    "prepend doubles": _GROW.replace("STEP", "prepend: x"),
    "replace doubles": _GROW.replace("STEP", "replace: 'a', 'aa'"),
    "replace of each by all": _GROW.replace("STEP", "replace: 'a', x"),
    "replace of nothing": _GROW.replace("STEP", "replace: '', x"),
    "join of its own letters": _GROW.replace("STEP", "split: '' | join: x"),
    "truncate that grows": _GROW.replace("STEP", "truncate: 1, x"),
    "url_encode grows": _GROW.replace("STEP", "append: 'é' | url_encode"),
    "url_param grows": _GROW.replace("STEP", "url_param: x, x"),
    "escape grows": _GROW.replace("STEP", "append: '&' | append: x | escape"),
    "newline_to_br grows": _GROW.replace("STEP", "append: profile.long | newline_to_br"),
    "capture doubles": "{% assign x = 'aaaaaaaaaa' %}{% for i in (1..40) %}{% capture x %}{{ x }}{{ x }}{% endcapture %}{% endfor %}",
    "upper case grows": _GROW.replace("STEP", "append: 'ß' | append: x | upcase"),
    # memory in lists
    "lists of letters": "{% for i in (1..99) %}{% assign l = profile.long | split: '' %}{% endfor %}x",
    "many long texts": "".join(
        f"{{% capture v{n} %}}{'{{ profile.long }}' * 9}{{{{ {n} }}}}{{% endcapture %}}" for n in range(200)
    )
    + "x",
    "many lists": "".join(f"{{% assign v{n} = profile.long | split: '' %}}" for n in range(60)) + "x",
    "list of lists": _MANY + "{% for i in (1..999) %}{% assign m = l | concat: l %}{% endfor %}x",
    # slow filters
    "sort over and over": _MANY + "{% for i in (1..9999) %}{% assign m = l | sort: 'hotel' | reverse %}{% endfor %}x",
    "uniq over and over": _MANY + "{% for i in (1..9999) %}{% assign m = l | uniq %}{% endfor %}x",
    "strip_html of angles": "{% for i in (1..9999) %}{{ profile.angles | strip_html | size }}{% endfor %}",
    "squish over and over": "{% for i in (1..9999) %}{{ profile.long | squish | size }}{% endfor %}",
    # numbers and dates
    "numbers that square": "{% assign x = 9999999999 %}{% for i in (1..99) %}{% assign x = x | times: x %}{% endfor %}{{ x }}",
    "a number of a million digits": "{{ '"
    + "9" * 400
    + "' | times: 1 | round: 15 | number: 15 }}{{ 1 | number: 2000000000 }}" * 99,
    "dates over and over": "{% for i in (1..9999) %}{{ now | date: '%A %d %B %Y %H:%M:%S %Z' }}{% endfor %}",
}
