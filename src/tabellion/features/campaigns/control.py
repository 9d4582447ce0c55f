"""Use cases of campaigns from the launch on: launch, pause, resume, cancel; what became of it."""

from collections.abc import Awaitable, Callable
from datetime import datetime

from msgspec.structs import replace

from tabellion.features import delivery
from tabellion.features.campaigns import senders, service, store
from tabellion.features.campaigns.errors import CampaignIncomplete
from tabellion.features.campaigns.fitting import document_faults, linked_of, sending_faults
from tabellion.features.campaigns.launching import document_of
from tabellion.features.campaigns.model import Campaign, Event, Kind, State, after, is_over
from tabellion.features.delivery import Interaction, MailEvent, Pending, Scope, Sending, Tally, WantedInteractions, sums
from tabellion.features.tables import render_moment
from tabellion.kit.problem import invalid
from tabellion.platform import audit
from tabellion.platform.database.connection import Database
from tabellion.platform.http.call import Incoming


async def launch(call: Incoming, at: datetime | None, override: str | None) -> tuple[Campaign, str | None]:
    """Launch the campaign of the path, now or (mass only) at a moment; a scheduled one at another moment only.

    `override`: why it is launched although its sender fails the check for campaigns to many. With the campaign comes
    what could not be looked at. Raises `CampaignUnknown`, `CampaignState`, `CampaignIncomplete`, `SenderRefused`, `Invalid`.
    """
    # Others are asked for it, and nothing is locked meanwhile.
    looked = await senders.look_before_launch(call)

    async def work(before: Campaign) -> Campaign:
        if at is not None and before.kind is not Kind.MASS:
            raise invalid(
                "scheduledAt", "structure.invalid", "only mass campaigns are scheduled; the others wait for triggers"
            )
        if at is None and before.state is State.SCHEDULED and before.scheduled_at is not None:
            # A call that is repeated, or a second pair of hands, is not to send years too early.
            raise service.wrong_state(
                before,
                f"be launched without a moment: it is to begin at {render_moment(before.scheduled_at)}. "
                "Send another moment as 'scheduledAt' (one that has passed: it begins now), take it back into definition "
                "(unschedule), or cancel it",
            )
        later = at is not None and at > call.now
        state = _after(before, Event.SCHEDULE if later or before.state is State.SCHEDULED else Event.LAUNCH)
        begins = at if later and at is not None else call.now
        document = await _document(call, before)
        if before.version != looked.version:
            raise service.wrong_state(before, "be launched: it was changed at the same moment. Launch it again")
        if looked.refused and override is None:
            raise senders.refusal(looked.refused)
        sending = await delivery.sending_of(call.db, before.id)
        if sending is None:
            await delivery.start(call.db, before.licence_id, before.id, document, begins, call.now)
        else:
            await delivery.reschedule(call.db, sending, begins)
        scheduled = begins if state is State.SCHEDULED else None
        started = before.started_at if state is State.SCHEDULED else call.now
        return replace(before, state=state, scheduled_at=scheduled, started_at=started)

    note = None
    if looked.refused:
        note = f"sender check overridden ({', '.join(finding.code for finding in looked.refused)}): {override}"
    return await _moved(call, work, note), looked.notice


async def unschedule(call: Incoming) -> Campaign:
    """Take the campaign of the path back into definition before it begins. Raises `CampaignUnknown`, `CampaignState`.

    Whoever begins it locks its row for that, as this does: one of the two comes first, and the other comes to nothing.
    """

    async def work(before: Campaign) -> Campaign:
        state = _after(before, Event.UNSCHEDULE)
        await delivery.withdraw(call.db, await sending_of(call.db, before))
        return replace(before, state=state, scheduled_at=None)

    return await _moved(call, work)


async def pause(call: Incoming) -> Campaign:
    """Hold the campaign of the path. Raises `CampaignUnknown`, `CampaignState`."""

    async def work(before: Campaign) -> Campaign:
        state = _after(before, Event.PAUSE)
        await delivery.pause(call.db, await sending_of(call.db, before), call.now)
        return replace(before, state=state)

    return await _moved(call, work)


async def resume(call: Incoming) -> Campaign:
    """Let the campaign of the path go on where it stopped, triggered ones with the contents as they are now.

    Raises `CampaignUnknown`, `CampaignState`, `CampaignIncomplete`.
    """

    async def work(before: Campaign) -> Campaign:
        state = _after(before, Event.RESUME)
        sending = await sending_of(call.db, before)
        document = sending.document
        if before.kind is not Kind.MASS:
            document = await _document(call, before, document.mark)
        else:
            await _check_fits(call, before, sending)
        await delivery.resume(call.db, sending, document, call.now)
        return replace(before, state=state)

    return await _moved(call, work)


async def cancel(call: Incoming) -> Campaign:
    """Stop the campaign of the path for good. Raises `CampaignUnknown`, `CampaignState`."""

    async def work(before: Campaign) -> Campaign:
        state = _after(before, Event.CANCEL)
        await delivery.stop(call.db, await sending_of(call.db, before), call.now)
        return replace(before, state=state, ended_at=call.now)

    return await _moved(call, work)


async def report(call: Incoming) -> tuple[Campaign, Tally, Pending]:
    """The campaign of the path, what became of its recipients, and why some are pending."""
    async with call.db.transaction():
        await sums.begin(call.db)
        campaign = await service.get(call)
        scope = Scope(campaign.licence_id, campaign.id)
        tally = await sums.tally(call.db, scope)
        return campaign, tally, await explain_pending(call, campaign, scope, tally.pending)


async def explain_pending(call: Incoming, campaign: Campaign, scope: Scope, number: int) -> Pending:
    """Why so many mails of a campaign are pending, in the snapshot in which they were counted."""
    sending = None if is_over(campaign.state) and not number else await delivery.sending_of(call.db, campaign.id)
    if sending is None:
        return Pending()
    why = campaign.paused_because
    return await delivery.pending.explain(call.db, scope, sending, number, call.now, paused_because=why)


async def interactions(call: Incoming, wanted: WantedInteractions) -> tuple[list[Interaction], dict[int, list[MailEvent]]]:
    """The mails of a profile, newest first, with what came of each."""
    found = await delivery.interactions(call.db, call.caller.licence_id, wanted)
    events = await delivery.events_of(call.db, call.caller.licence_id, [each.id for each in found])
    return found, events


async def _check_fits(call: Incoming, campaign: Campaign, sending: Sending) -> None:
    """That what a mass campaign was launched with can go on. Raises `CampaignIncomplete`."""
    table = await service.kept_table_of(call, campaign)
    linked = await linked_of(call.db, campaign.licence_id, sending.document, keep=True)
    if faults := await sending_faults(call.db, campaign, sending, table, linked, call.now):
        raise CampaignIncomplete(faults)


async def _document(call: Incoming, campaign: Campaign, mark: str | None = None) -> delivery.Document:
    table = await service.kept_table_of(call, campaign)
    names = await service.names_in(call, campaign, table)
    plan = await store.ab_test(call.db, campaign.id) if campaign.kind is Kind.MASS else None
    document = await document_of(call.db, campaign, table, names, call.caller.time_zone, call.now, mark=mark, ab_test=plan)
    # What contents name was there when the call began; now it stays.
    if faults := document_faults(document, table, await linked_of(call.db, campaign.licence_id, document, keep=True)):
        raise CampaignIncomplete(faults)
    return document


async def sending_of(db: Database, campaign: Campaign) -> Sending:
    """What a launched campaign sends. Raises `CampaignState` for one that was never launched."""
    found = await delivery.sending_of(db, campaign.id)
    if found is None:
        raise service.wrong_state(campaign, "be held: it was never launched")
    return found


async def _moved(call: Incoming, work: Callable[[Campaign], Awaitable[Campaign]], note: str | None = None) -> Campaign:
    """Do `work` with the campaign of the path locked, and keep its new state; `note` goes to the audit trail."""
    async with call.db.transaction():
        moved = await work(await service.get(call, lock=True))
        await store.set_state(call.db, moved, call.now)
        await audit.record(call.db, call, f"campaign/{moved.id}", note)
    return moved


def _after(campaign: Campaign, event: Event) -> State:
    state = after(campaign.kind, campaign.state, event)
    if state is None:
        raise service.wrong_state(campaign, _WORDS[event])
    return state


_WORDS = {
    Event.LAUNCH: "be launched",
    Event.SCHEDULE: "be scheduled",
    Event.PAUSE: "be paused",
    Event.RESUME: "be resumed",
    Event.CANCEL: "be cancelled",
    Event.UNSCHEDULE: "be taken back into definition: that is for SCHEDULED ones",
}
