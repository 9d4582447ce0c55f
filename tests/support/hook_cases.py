"""The calls on webhook subscriptions and custom actions."""

from tests.support.cases import Case

HOOK = {"on": "PROFILE_TABLE", "onElementId": "guests", "eventType": "CREATE", "targetUrl": "https://8.8.8.8/hook"}
_HOOK_XML = (
    "<webhookSubscription><on>PROFILE_TABLE</on><onElementId>guests</onElementId><eventType>CREATE</eventType>"
    "<targetUrl>https://8.8.8.8/hook</targetUrl><maxBlockSize>10</maxBlockSize><headers><header name='X-Key'>secret</header>"
    "</headers><onFields><onField>lastName</onField></onFields></webhookSubscription>"
)
_ON_TABLE = {"eventType": "UPDATED_SUBSCRIPTION", "targetUrl": "https://8.8.8.8/hook", "onFields": ["newsletter"]}
HOOKS = "/v4/entity/hotels/webhookSubscription"
HOOKS_V4 = [
    Case(
        "webhooks",
        "GET",
        "webhooks",
        HOOKS + "?page=0&pageSize=100",
        200,
        check=lambda a: a["webhookSubscriptions"] == [],
        xpath="/webhookSubscriptions[not(*)]",
    ),
    Case(
        "create webhook",
        "POST",
        "webhooks",
        HOOKS,
        201,
        HOOK,
        _HOOK_XML,
        check=lambda a: isinstance(a["id"], int) and a["signingSecret"].startswith("whsec_"),
        xpath="/webhookSubscription[id]/signingSecret",
    ),
    Case(
        "webhook target",
        "POST",
        "webhooks",
        HOOKS,
        400,
        {**HOOK, "targetUrl": "https://127.0.0.1/"},
        _HOOK_XML.replace("8.8.8.8", "127.1"),
        check=lambda a: a["code"] == "webhook.target",
        xpath="/error/code[.='webhook.target']",
    ),
    Case(
        "create webhook on table",
        "POST",
        "webhooks",
        "/v4/entity/hotels/table/Guests/webhookSubscription",
        201,
        _ON_TABLE,
        check=lambda a: set(a) == {"id", "signingSecret"},
        xpath="/webhookSubscription/id",
    ),
    Case(
        "create webhook on unknown custom table",
        "POST",
        "webhooks",
        "/v4/entity/hotels/customTable/None/webhookSubscription",
        404,
        {"eventType": "CREATE", "targetUrl": "https://8.8.8.8/hook"},
        check=lambda a: a["code"] == "table.unknown",
        xpath="/error/code[.='table.unknown']",
    ),
    Case(
        "get webhook",
        "GET",
        "webhooks",
        HOOKS + "/{webhook}",
        200,
        check=lambda a: a["on"] == "PROFILE_TABLE" and a["maxBlockSize"] == 100 and "signingSecret" not in a,
        xpath="/webhookSubscription[on='PROFILE_TABLE'][not(signingSecret)]/headers/header[@name='X-Key'][.='secret']",
    ),
    Case("webhook unknown", "GET", "webhooks", HOOKS + "/999999999", 404, xpath="/error/code[.='webhook.unknown']"),
    Case(
        "switch webhook off",
        "PUT",
        "webhooks",
        HOOKS + "/{webhook}",
        200,
        {"isActive": False},
        "<webhookSubscription><isActive>false</isActive></webhookSubscription>",
        check=lambda a: set(a) == {"id"},
        xpath="/webhookSubscription/id",
    ),
    Case("delete webhook", "DELETE", "webhooks", HOOKS + "/{webhook}", 204),
    Case(
        "failures of a day",
        "GET",
        "webhooks",
        HOOKS + "/{webhook}/2027-03-01",
        200,
        check=lambda a: a == {"errors": []},
        xpath="/webhookErrors/errors[not(*)]",
    ),
    Case("no day", "GET", "webhooks", HOOKS + "/{webhook}/2027-02-30", 400, xpath="/error/code[.='parameter.invalid']"),
]
HOOKS_V5 = [
    Case(
        "replay",
        "POST",
        "webhooks",
        "/v5/entities/hotels/webhook-subscriptions/{webhook}/replays",
        200,
        {"day": "2027-03-01"},
        check=lambda a: a == {"replayed": 0},
    ),
    Case(
        "replay unknown event",
        "POST",
        "webhooks",
        "/v5/entities/hotels/webhook-subscriptions/{webhook}/replays",
        404,
        {"eventId": 55012},
        check=lambda a: a["code"] == "event.unknown",
    ),
    Case(
        "custom actions",
        "GET",
        "scenarios",
        "/v5/entities/hotels/custom-actions",
        200,
        check=lambda a: a == {"customActions": []},
    ),
    Case(
        "create custom action",
        "POST",
        "scenarios",
        "/v5/entities/hotels/custom-actions",
        201,
        {"name": "print-voucher", "parameters": [{"name": "amount", "valueType": "NUMBER", "mandatory": True}]},
        check=lambda a: isinstance(a["id"], str),
        once=True,
    ),
    Case(
        "get custom action",
        "GET",
        "scenarios",
        "/v5/entities/hotels/custom-actions/{action}",
        200,
        check=lambda a: (
            a["name"] == a["displayName"] == "call-back"
            and a["isActive"] is True
            and a["targetUrl"] is a["description"] is None
            and a["parameters"] == []
        ),
    ),
    Case(
        "change custom action",
        "PATCH",
        "scenarios",
        "/v5/entities/hotels/custom-actions/{action}",
        200,
        {"isActive": False, "targetUrl": "https://8.8.8.8/x"},
        check=lambda a: a["isActive"] is False and a["targetUrl"] == "https://8.8.8.8/x",
    ),
    Case("delete custom action", "DELETE", "scenarios", "/v5/entities/hotels/custom-actions/{action}", 204),
]
