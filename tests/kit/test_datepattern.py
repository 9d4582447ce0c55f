"""Dates by pattern."""

from datetime import date, datetime

import pytest

from tabellion.kit.datepattern import DatePattern


@pytest.mark.parametrize(
    ("pattern", "text", "value"),
    [
        ("dd.MM.yyyy", "01.03.2027", date(2027, 3, 1)),
        ("d.M.yyyy", "1.12.2027", date(2027, 12, 1)),
        ("yyyyMMdd", "20270301", date(2027, 3, 1)),
        ("dd/MM/yy", "01/03/68", date(2068, 3, 1)),
        ("dd/MM/yy", "01/03/69", date(1969, 3, 1)),
        ("yyyy-MM-dd'T'HH:mm:ss", "2027-03-01T09:15:30", datetime(2027, 3, 1, 9, 15, 30)),
        ("yyyy-MM-dd HH:mm:ss.SSS", "2027-03-01 09:15:30.250", datetime(2027, 3, 1, 9, 15, 30, 250_000)),
        ("dd.MM.yyyy", "31.02.2027", None),
        ("dd.MM.yyyy", "1.3.2027", None),
        ("dd.MM.yyyy", "01x03x2027", None),
        ("dd.MM.yyyy", "01.03.2027\n", None),
        ("dd.MM.yyyy", "٠١.٠٣.٢٠٢٧", None),
        ("yyyyMMdd HH:mm", "20270301 25:00", None),
    ],
)
def test_what_a_text_names(pattern, text, value):
    assert DatePattern(pattern).read(text) == value


@pytest.mark.parametrize("pattern", ["", "dd.MM.yyyy.dd", "EEE", "yyyy 'x", "yyyy yy MM dd", "x" * 61, "MMM dd yyyy"])
def test_what_is_no_pattern(pattern):
    with pytest.raises(ValueError, match=r"pattern|no part"):
        DatePattern(pattern)
