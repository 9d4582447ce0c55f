"""How long relays are waited for, step by step (RFC 5321, section 4.5.3.2)."""

from typing import Self

import msgspec

_OPENING_S, _ENVELOPE_S, _DATA_S, _BLOCK_S, _END_S, _RESET_S = 60.0, 300.0, 120.0, 180.0, 600.0, 20.0


class Waits(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds.

    `opening_s`: for each step until a connection may be used (greeting, TLS, login). The standard allows five minutes for
    the greeting; a minute is enough to know that this relay had better be left alone, as no mail is on its way yet.
    `envelope_s`: for the answers to sender and recipient, whom relays may look up elsewhere. `data_s`: until the relay asks
    for the mail. `block_s`: until it has taken the next piece of it. `end_s`: after the mail's end, while the relay may
    search it for viruses; whoever does not wait for this answer does not know of a mail that it has arrived. `reset_s`: for
    a connection that would be used again, and can be replaced.
    """

    opening_s: float = _OPENING_S
    envelope_s: float = _ENVELOPE_S
    data_s: float = _DATA_S
    block_s: float = _BLOCK_S
    end_s: float = _END_S
    reset_s: float = _RESET_S

    @classmethod
    def all_of(cls, seconds: float) -> Self:
        """The same for every step."""
        return cls(
            opening_s=seconds, envelope_s=seconds, data_s=seconds, block_s=seconds, end_s=seconds, reset_s=seconds
        )  # fmt: skip
