"""A campaign through a real mail server: Debian's Postfix takes it, delivers it, and sends back what it cannot deliver."""

from typing import Any

import dkim
import psycopg
import pytest

from tabellion.platform import secrets
from tabellion.platform.mail import new_key, public_record
from tests.contract.test_sending import MAIL, guests
from tests.support.mailing import taking_bounces
from tests.support.postfix import running_postfix
from tests.support.tenant import Tenant
from tests.support.waiting import until

pytestmark = pytest.mark.usefixtures("worker")

BACK = "bounces.example.com"


@pytest.mark.parametrize("back", [BACK, ""])
def test_mails_arrive_signed_and_what_cannot_be_delivered_comes_back(
    back: str, tenant: Tenant, database: psycopg.Connection[Any], worker_database_url: str
) -> None:
    """With a domain for return paths the bounce is understood; without one it lies in the sender's box, as a report."""
    pem, _ = new_key("rsa")
    (entity,) = database.execute(
        "SELECT e.id FROM tabellion.entity e JOIN tabellion.licence l ON l.id = e.licence_id WHERE l.name = %s",
        (tenant.licence,),
    ).fetchone() or (0,)
    database.execute(
        "INSERT INTO tabellion.sender (entity_id, name, address, dkim_domain, dkim_selector, dkim_key, bounce_domain) "
        "VALUES (%s, 'Harbour', 'news@example.com', 'example.com', 's1', %s, %s)",
        (entity, secrets.seal(pem, f"dkim {entity:d}"), back),
    )
    guests(tenant, 20)
    with taking_bounces(worker_database_url) as door, running_postfix(BACK, door) as postfix:
        database.execute(
            "INSERT INTO tabellion.relay (licence_id, host, port, security) SELECT id, '127.0.0.1', %s, 'NONE' "
            "FROM tabellion.licence WHERE name = %s",
            (postfix.port, tenant.licence),
        )
        number = tenant.campaign()
        assert tenant.json("POST", f"{MAIL}/{number}/launch").status_code == 200

        def report() -> Any:
            return tenant.json("GET", f"{MAIL}/{number}/report").json()

        until(lambda: report()["sent"] == 21, within_s=60)
        # Ann does not live here; Postfix finds out when it delivers.
        boxes = until(lambda: (found := postfix.mails()) and len(found) == (20 if back else 21) and found, within_s=60)
        for i in range(20):
            (mail,) = boxes[f"g{i}"]
            assert mail["Delivered-To"] == f"g{i}@example.com"
            assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
            assert dkim.verify(_as_sent(postfix, f"g{i}"), dnsfunc=lambda name, timeout=5: public_record(pem).encode())
        if back:
            until(lambda: report()["hardBounces"] == 1, within_s=60)
            assert report()["delivered"] == 20
        else:
            (bounce,) = boxes["news"]
            assert bounce.get_content_type() == "multipart/report"
            _, status, _ = bounce.iter_parts()
            assert status.get_content_type() == "message/delivery-status"
            fields = status.get_payload()[1]
            assert (fields["Action"], fields["Status"]) == ("failed", "5.1.1")
            assert fields["Final-Recipient"] == "rfc822; ann@example.com"


def _as_sent(postfix: Any, box: str) -> bytes:
    """The mail as it is in the box, without the lines of delivery above it."""
    raw = next(postfix.home.glob(f"boxes/{box}/new/*")).read_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
    return raw[raw.index(b"DKIM-Signature:") :]
