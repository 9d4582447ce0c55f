"""The mail that `send.py` measures: a newsletter of 35 kB as one leaves an editor, with tables, styles and tracked links."""

_ARTICLES = 16
_CELL = (
    "padding:12px 24px;font-family:Helvetica,Arial,sans-serif;font-size:15px;line-height:22px;color:#22303c;"
    "background-color:#ffffff;border-bottom:1px solid #d8dee4;mso-line-height-rule:exactly"
)
_BUTTON = (
    "display:inline-block;padding:10px 22px;border-radius:4px;background-color:#0b6e4f;color:#ffffff;"
    "text-decoration:none;font-family:Helvetica,Arial,sans-serif;font-size:14px;font-weight:bold"
)
_WORDS = (
    "Spring has come to the dunes, and the first guests sit outside with their coffee until noon. Whoever books this week "
    "walks the beach alone, finds a place at every table, and pays what one pays in winter."
)
_TABLE = '<table role="presentation" width="100%" cellpadding="0" cellspacing="0" border="0">'
SUBJECT = "{{ profile.firstName | default: 'Dear guest' }}, spring by the sea"
SMALL = "<html><body><p>Dear {{ profile.firstName }},</p><p>Spring is here.</p></body></html>"


def newsletter() -> str:
    """The HTML, with Liquid; about 35 kB once it is a mail."""
    articles = "".join(
        f'{_TABLE}<tr><td style="{_CELL}"><img src="https://img.shop.example/spring/{number}.jpg" width="552" height="240" '
        f'alt="A house in the dunes" style="display:block;width:100%;max-width:552px;height:auto;border:0"></td></tr>\n'
        f'<tr><td style="{_CELL}"><h2 style="margin:0 0 8px 0;font-size:20px;line-height:26px">House {number} by the sea</h2>\n'
        f'<p style="margin:0 0 12px 0">{_WORDS}</p></td></tr>\n'
        f'<tr><td style="{_CELL}" align="left"><a style="{_BUTTON}" '
        f'href="https://www.shop.example/houses/{number}?from=spring&amp;who={{{{ profile.profileId }}}}">'
        "See the house</a></td></tr></table>\n"
        for number in range(_ARTICLES)
    )
    return (
        '<html><head><meta charset="utf-8"><style>a:hover{color:#095c42} h2{font-weight:bold}</style></head>'
        f'<body style="margin:0;background-color:#eef1f4">{_TABLE}<tr><td style="{_CELL}">'
        "<p>Dear {{ profile.firstName | default: 'guest' }} {{ profile.lastName }},</p>\n"
        "{% if profile.addressCountry == 'BE' %}<p>You live near by: come tomorrow.</p>{% else %}<p>Come by train.</p>{% endif %}"
        "<p>On {{ profile.birthDate | date: 'long' }} we think of you; today is {{ today | date: 'long' }}.</p>\n"
        f"</td></tr></table>{articles}"
        f'<p><a href="{{{{ onlineUrl }}}}">Read online</a> or <a href="{{{{ unsubscribeUrl }}}}">unsubscribe</a></p></body></html>'
    )
