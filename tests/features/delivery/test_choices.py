"""Choices that change between the audience and the mail."""

from tabellion.features.delivery import Contact, Limits, recipient_store
from tests.features.delivery.conftest import Post


async def test_whoever_does_not_say_yes_any_more_is_left_out_until_the_mail_begins(post: Post) -> None:
    await post.guests(f"{name}@example.com" for name in ("ann", "bob", "cid", "dan", "eva"))
    wanted = post.table.subscriptions[0].number

    async def chooses(name: str, choice: bool | None) -> None:
        email = post.table.attributes_by_name["emailaddress"].column
        query = f"UPDATE l{post.licence_id}.{post.table.relation} SET s{wanted} = %s WHERE {email} LIKE %s"
        await post.db.execute(query.encode(), (choice, f"{name}@%"))

    await chooses("%", True)
    sendings = [await post.sending(subscription=wanted) for _ in range(2)]
    await chooses("ann", False)
    await chooses("bob", None)
    held = [(await post.plain_claim(sendings[0]))[0], await post.claim(sendings[1], Limits(contact=Contact(9, 7)))]
    await chooses("cid", False)
    await chooses("dan", None)
    for sending, claimed in zip(sendings, held, strict=True):
        assert [each.address[:3] for each in claimed] == ["cid", "dan", "eva"]
        begun = await recipient_store.begin(post.db, sending, post.table, post.worker, claimed)
        assert begun == {claimed[2].id}
        assert (await post.fates(sending))["EXCLUDED", "unsubscribed"] == 2
