"""What receivers find in the DNS about the domain of the sender: SPF (RFC 7208), DKIM (RFC 6376), DMARC (RFC 7489)."""

import re
from collections.abc import Iterator
from typing import NamedTuple

from tabellion.platform.dns import LookUpFailed, Names, NameUnknown
from tabellion.platform.templates import Finding, error, warning

_SPF, _DMARC = re.compile(r"v=spf1(?:\s|$)", re.IGNORECASE), re.compile(r"v=DMARC1\s*(?:;|$)", re.IGNORECASE)
_ALL = re.compile(r"(?:^|\s)\+?all(?:\s|$)", re.IGNORECASE)
_BLANKS = re.compile(r"\s+")
_PUBLISH = "publish it; the guide to the sender's domain says how"


class Sender(NamedTuple):
    """Who sends. `returns_to` is the domain that bounces come back to; `dkim_record` empty: mails are not signed, for which
    nobody has to be asked.
    """

    address: str
    returns_to: str
    dkim_name: str = ""
    dkim_record: str = ""


async def check_sender(sender: Sender, names: Names) -> list[Finding]:
    """The findings. Never raises for what name servers answer."""
    domain = sender.address.rpartition("@")[2].lower()
    try:
        if not await names.exists(domain):
            message = f"the domain {domain} of the sender does not exist"
            return [error("sender.domain", message, "send from an address of a domain of yours")]
        policy = await _policy(domain, names)
        return [
            *_spf(sender.returns_to, await _texts(sender.returns_to, names)),
            *_dkim(sender, await _texts(sender.dkim_name, names) if sender.dkim_name else []),
            *_dmarc(domain, policy, sender),
        ]
    except LookUpFailed as failure:
        return [warning("sender.unchecked", f"the sender's domain was not looked at: {failure}", "look again later")]


async def _texts(name: str, names: Names) -> list[str]:
    try:
        return await names.texts(name)
    except NameUnknown:
        return []


async def _policy(domain: str, names: Names) -> list[str]:
    """The DMARC records of a domain, or else of the nearest domain above it that has one."""
    labels = domain.split(".")
    for start in range(max(len(labels) - 1, 1)):
        texts = await _texts("_dmarc." + ".".join(labels[start:]), names)
        if found := [text for text in texts if _DMARC.match(text)]:
            return found
    return []


def _spf(domain: str, texts: list[str]) -> Iterator[Finding]:
    records = [text for text in texts if _SPF.match(text)]
    if not records:
        message = f"{domain} has no SPF record, which says who may send for it"
        yield warning("spf.missing", message, _PUBLISH)
    elif len(records) > 1:
        message = f"{domain} has {len(records)} SPF records; receivers then take none"
        yield error("spf.several", message, "make one of them")
    elif _ALL.search(records[0]):
        yield warning("spf.open", f"the SPF record of {domain} lets everybody send for it", "end it with ~all or -all")


def _dkim(sender: Sender, texts: list[str]) -> Iterator[Finding]:
    if not sender.dkim_record:
        return
    keys = [_key(text) for text in texts if "p=" in text]
    if not keys:
        message = f"mails are signed, and {sender.dkim_name} has no key to verify them by"
        yield error("dkim.unpublished", message, _PUBLISH)
    elif _key(sender.dkim_record) not in keys:
        message = f"mails are signed, and {sender.dkim_name} has another key"
        yield error("dkim.mismatch", message, "publish the key that tabellion sender show prints")


def _key(record: str) -> str:
    tags = [part.partition("=") for part in _BLANKS.sub("", record).split(";")]
    return next((value for name, _, value in tags if name == "p"), "")


def _dmarc(domain: str, records: list[str], sender: Sender) -> Iterator[Finding]:
    if not records:
        message = f"{domain} has no DMARC record; large receivers refuse mass mails without one"
        yield warning("dmarc.missing", message, _PUBLISH)
        return
    if len(records) > 1:
        yield error(
            "dmarc.several", f"{domain} has {len(records)} DMARC records; receivers then take none", "make one of them"
        )
        return
    strict = re.search(r"(?:^|;)\s*p\s*=\s*(?:quarantine|reject)\b", records[0], re.IGNORECASE)
    if strict and not sender.dkim_record and not _aligned(domain, sender.returns_to):
        message = f"the DMARC record of {domain} asks receivers to refuse mails that are neither signed nor come back to it"
        yield error("dmarc.unaligned", message, "sign the mails (DKIM)")


def _aligned(domain: str, other: str) -> bool:
    return domain == other or domain.endswith(f".{other}") or other.endswith(f".{domain}")
