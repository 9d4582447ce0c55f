"""What a refusal is about."""

from enum import StrEnum


class Refusal(StrEnum):
    """HARD: nobody will ever get mails there. SOFT: not now. BLOCK: not this mail, or this sender, whoever it is for."""

    HARD = "HARD"
    SOFT = "SOFT"
    BLOCK = "BLOCK"
