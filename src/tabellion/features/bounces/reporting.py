"""Use case of bounces and complaints that a provider tells of, instead of sending them as mails; and of what a relay has."""

import re
from datetime import datetime
from typing import NamedTuple

from tabellion.features.bounces import service, store
from tabellion.features.bounces.errors import InteractionUnknown
from tabellion.features.bounces.model import Finding, Kind, Rules, one_line
from tabellion.features.bounces.reading import read_reply
from tabellion.features.bounces.store import Mail
from tabellion.features.delivery import settle
from tabellion.kit.counted import counted
from tabellion.kit.digits import number_of
from tabellion.kit.problem import invalid
from tabellion.platform import audit
from tabellion.platform.http.call import Incoming
from tabellion.platform.mail import address_of, normal_form

_MESSAGE_ID = re.compile(r"<?([0-9]{1,10})\.([0-9]{1,18})\.([0-9]{1,18})@[^\s<>@]{1,255}>?")
_KINDS = {
    "HARD_BOUNCE": Kind.HARD, "SOFT_BOUNCE": Kind.SOFT, "BLOCK": Kind.BLOCK, "COMPLAINT": Kind.COMPLAINT,
    "ACCEPTED": Kind.ACCEPTED, "BOUNCE": None,
}  # fmt: skip
_rules = [Rules()]


class Told(NamedTuple):
    """What is told of one mail, or of an address."""

    type: str
    address: str | None
    interaction: str | None
    message: str | None
    moment: datetime | None
    status: str
    reason: str


def use_rules(rules: Rules) -> None:
    """Say when soft bounces are too many; once, at the start of a process."""
    _rules[:] = [rules]


async def take(call: Incoming, told: Told) -> tuple[int | None, Kind]:
    """Note one; the interaction, if it is known, and what it was taken for. Raises a `Problem` that says what is wrong."""
    finding = _finding(told)
    address = None if told.address is None else address_of(told.address)
    if told.address is not None and address is None:
        raise invalid("address", "attribute.value", f"'{one_line(told.address, 100)}' is no e-mail address")
    desk = service.Desk(call.db, _rules[0], call.now, min(told.moment or call.now, call.now))
    licence_id = call.caller.licence_id
    number = _number(told, licence_id)
    if number is None:
        if finding.kind is Kind.ACCEPTED:
            raise invalid(
                "interactionId", "member.mandatory", "which mail was accepted: an interactionId or a messageId is needed"
            )
        if told.address is None:
            raise invalid("address", "member.mandatory", "an address, an interactionId or a messageId is needed")
        await service.note_address(desk, licence_id, told.address, finding)
        return None, finding.kind
    mail = await _mail(call, number)
    if told.address is not None and normal_form(told.address) != normal_form(mail.address):
        raise invalid("address", "attribute.value", "the mail of that interaction went to another address")
    if finding.kind is Kind.ACCEPTED:
        await settle(call.db, licence_id, mail.id, call.now, at=None if told.moment is None else desk.at)
    else:
        await service.note(desk, licence_id, mail.id, finding)
    return mail.id, finding.kind


async def record(call: Incoming, count: int) -> None:
    """Write the call into the audit trail."""
    await audit.record(call.db, call, "bounces", counted(count, "event"))


async def _mail(call: Incoming, number: int) -> Mail:
    mail = await store.mail(call.db, call.caller.licence_id, number)
    if mail is None:
        raise InteractionUnknown("the licence has sent no such mail")
    return mail


def _finding(told: Told) -> Finding:
    kind = told.type.strip().upper()
    if kind not in _KINDS:
        raise invalid("type", "member.type", f"'type' expects {', '.join(_KINDS)}")
    reason = one_line(told.reason)
    if (known := _KINDS[kind]) is not None:
        return Finding(known, one_line(told.status, 20), reason)
    found = read_reply(f"{told.status} {told.reason}")
    return Finding(found.kind, found.status, reason)


def _number(told: Told, licence_id: int) -> int | None:
    """The interaction that is meant; None: none is named."""
    if told.interaction is not None:
        if (number := number_of(told.interaction)) is None:
            raise InteractionUnknown("an interaction's id is a number")
        return number
    if told.message is None:
        return None
    found = _MESSAGE_ID.fullmatch(told.message.strip())
    if found is None or int(found[1]) != licence_id:
        raise InteractionUnknown("this licence has not sent a mail of that Message-ID")
    return int(found[3])
