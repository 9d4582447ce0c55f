"""The calls of e-mail campaigns, version 4, as the table-driven tests send them."""

from tests.support.cases import Case
from tests.support.tenant import SUBJECT

_CATEGORY = "email-campaigns"
_MAIL = "/v4/entity/hotels/mail"
_ONE = _MAIL + "/{mail}"
_ACTIVE = _MAIL + "/{active}"
_BOB = {"attributes": [{"name": "emailAddress", "value": "bob@example.com"}, {"name": "lastName", "value": "Bos"}]}
_NEW = {
    "name": "12",
    "displayName": "Spring offer",
    "from": "Harbour Hotels",
    "replyTo": "reply@example.com",
    "entityOfTarget": "hotels",
    "targetTable": "Guests",
    "supportedLanguages": ["NL", "fr"],
    "encoding": "utf-8",
    "contentType": "HTML",
    "sendingMode": "MASS",
    "goalTracking": None,
}
_NEW_XML = (
    "<mail><name>12</name><displayName>Spring offer</displayName><from>Harbour Hotels</from>"
    "<replyTo>reply@example.com</replyTo><entityOfTarget>hotels</entityOfTarget><targetTable>Guests</targetTable>"
    "<supportedLanguages><supportedLanguage>NL</supportedLanguage><supportedLanguage>fr</supportedLanguage>"
    "</supportedLanguages><encoding>utf-8</encoding><contentType>HTML</contentType><sendingMode>MASS</sendingMode></mail>"
)
_TARGET = {"subscription": "Newsletter", "filter": 'lastName = "Vos"', "maxProfiles": None}
_TARGET_XML = (
    '<mailTarget><subscription>Newsletter</subscription><filter>lastName = "Vos"</filter>'
    '<maxProfiles xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/></mailTarget>'
)
_KEYS = {"personalisations": [{"key": "stayRef", "mandatory": True, "defaultValue": None}]}
_KEYS_XML = (
    "<personalisations><personalisation><key>stayRef</key><mandatory>true</mandatory></personalisation></personalisations>"
)

CAMPAIGNS_V4 = [
    Case(
        "create mail", "POST", _CATEGORY, _MAIL, 201, _NEW, _NEW_XML,
        check=lambda a: isinstance(a["campaignId"], int), xpath="/mail/campaignId",
        once=True,
    ),
    Case(
        "create mail without a mode", "POST", _CATEGORY, _MAIL, 201,
        {"name": "m", "targetTable": "Guests", "supportedLanguages": ["NL"]}, check=lambda a: list(a) == ["campaignId"],
        xpath="/mail/campaignId",
        once=True,
    ),
    Case(
        "create mail for no table", "POST", _CATEGORY, _MAIL, 400,
        {"name": "m", "targetTable": "Ghosts", "supportedLanguages": ["NL"]},
        check=lambda a: a["errors"][0]["field"] == "targetTable", xpath="/error/errors/error[field='targetTable']",
    ),
    Case(
        "list mails", "GET", _CATEGORY, _MAIL + "?type=MASS_SENDING&number=10", 200,
        check=lambda a: a["mailDocuments"] == [], xpath="/mailDocuments[not(*)]",
    ),
    Case(
        "get mail", "GET", _CATEGORY, _ONE, 200,
        check=lambda a: (
            a["name"] == a["displayName"] == "SpringOffer" and a["state"] == "IN_DEFINITION" and a["sendingMode"] == "MASS"
            and a["supportedLanguages"] == ["EN"] and a["targetTable"] == "Guests" and a["entityOfTarget"] == "hotels"
            and a["from"] is a["replyTo"] is a["scheduledAt"] is a["startedAt"] is a["endedAt"] is a["goalTracking"] is None
        ),
        xpath="/mail[name='SpringOffer'][supportedLanguages/supportedLanguage='EN'][state='IN_DEFINITION']",
    ),
    Case(
        "get mail unknown", "GET", _CATEGORY, _MAIL + "/nothing", 404,
        check=lambda a: a["code"] == "campaign.unknown", xpath="/error/code[.='campaign.unknown']",
    ),
    Case(
        "change mail", "PUT", _CATEGORY, _ONE, 200, {"displayName": "Other", "supportedLanguages": ["nl"]},
        "<mail><displayName>Other</displayName></mail>", check=lambda a: list(a) == ["campaignId"], xpath="/mail/campaignId",
    ),
    Case("delete mail", "DELETE", _CATEGORY, _ONE, 204),
    Case(
        "get subject", "GET", _CATEGORY, _ONE + "/content/subject", 200, check=lambda a: a == {"subject": SUBJECT},
        xpath="/mailSubject/subject[starts-with(., 'Spring')]",
    ),
    Case(
        "put subject", "PUT", _CATEGORY, _ONE + "/content/subject?language=en", 200, {"subject": "12"},
        "<mailSubject><subject>12</subject></mailSubject>", check=lambda a: list(a) == ["campaignId"],
        xpath="/mail/campaignId",
    ),
    Case(
        "get personalisation", "GET", _CATEGORY, _ONE + "/content/personalisation", 200,
        check=lambda a: a == {"personalisations": []}, xpath="/personalisations[not(*)]",
    ),
    Case(
        "put personalisation", "PUT", _CATEGORY, _ONE + "/content/personalisation", 200, _KEYS, _KEYS_XML,
        check=lambda a: list(a) == ["campaignId"], xpath="/mail/campaignId",
    ),
    Case(
        "get target", "GET", _CATEGORY, _ONE + "/target", 200,
        check=lambda a: a["estimatedCount"] == 1 and a["subscription"] is a["filter"] is a["maxProfiles"] is None,
        xpath="/mailTarget/estimatedCount[.='1']",
    ),
    Case(
        "put target", "PUT", _CATEGORY, _ONE + "/target", 200, _TARGET, _TARGET_XML,
        check=lambda a: list(a) == ["campaignId"], xpath="/mail/campaignId",
    ),
    Case(
        "test mail", "POST", _CATEGORY, _ONE + "/test", 200, {"recipients": ["me@example.com"]},
        "<mailTest><recipients><recipient>me@example.com</recipient></recipients></mailTest>",
        check=lambda a: a["sent"] == 1, xpath="/mail/sent[.='1']",
    ),
    Case(
        "launch mail", "POST", _CATEGORY, _ONE + "/launch", 200, check=lambda a: a["state"] == "IN_PROGRESS",
        xpath="/mail/state[.='IN_PROGRESS']",
    ),
    Case(
        "schedule mail", "POST", _CATEGORY, _ONE + "/launch", 200, {"scheduledAt": "2090-03-05T07:00:00Z"},
        "<mailLaunch><scheduledAt>2090-03-05T07:00:00Z</scheduledAt></mailLaunch>",
        check=lambda a: a["state"] == "SCHEDULED", xpath="/mail/state[.='SCHEDULED']",
    ),
    Case(
        "pause mail", "POST", _CATEGORY, _ACTIVE + "/pause", 200, check=lambda a: a["state"] == "PAUSED",
        xpath="/mail/state[.='PAUSED']",
    ),
    Case(
        "resume mail", "POST", _CATEGORY, _MAIL + "/{paused}/resume", 200, check=lambda a: a["state"] == "ACTIVE",
        xpath="/mail/state[.='ACTIVE']",
    ),
    Case(
        "cancel mail", "POST", _CATEGORY, _ACTIVE + "/cancel", 200, check=lambda a: a["state"] == "STOPPED",
        xpath="/mail/state[.='STOPPED']",
    ),
    Case(
        "pause mail in definition", "POST", _CATEGORY, _ONE + "/pause", 409, check=lambda a: a["code"] == "campaign.state",
        xpath="/error/code[.='campaign.state']",
    ),
    Case(
        "report on mail", "GET", _CATEGORY, _ONE + "/report", 200, check=lambda a: a["targeted"] == 0 and "softBounces" in a,
        xpath="/mailReport/excluded/noAddress[.='0']",
    ),
    Case(
        "trigger mail", "POST", _CATEGORY, _ACTIVE + "/profile/emailAddress=ann@example.com", 200,
        [{"key": "stayRef", "values": ["ST-00017"]}],
        "<parameters><parameter><key>stayRef</key><values><value>ST-00017</value></values></parameter></parameters>",
        check=lambda a: isinstance(a["interactionId"], int), xpath="/interaction/interactionId",
    ),
    Case(
        "trigger mail without parameters", "POST", _CATEGORY, _ACTIVE + "/profile/emailAddress=ann@example.com", 200,
        check=lambda a: isinstance(a["interactionId"], int), xpath="/interaction/interactionId",
    ),
    Case(
        "trigger a mass mail", "POST", _CATEGORY, _ONE + "/profile/emailAddress=ann@example.com", 409, [],
        check=lambda a: a["code"] == "campaign.kind", xpath="/error/code[.='campaign.kind']",
    ),
    Case(
        "transactional mail", "POST", _CATEGORY, "/v4/entity/hotels/transactionalmail/{active}/contact", 200,
        {"profile": {**_BOB, "dataCollection": {"source": "webshop"}}, "parameters": []},
        "<contact><profile><attributes><attribute><name>emailAddress</name><value>bob@example.com</value></attribute>"
        "<attribute><name>lastName</name><value>Bos</value></attribute></attributes></profile></contact>",
        check=lambda a: isinstance(a["profileId"], int) and isinstance(a["interactionId"], int),
        xpath="/contact[profileId][interactionId]",
    ),
    Case(
        "many triggers", "POST", _CATEGORY, _ACTIVE + "/contact", 200,
        {"contacts": [{"profile": "emailAddress=ann@example.com"}, {"profile": "1999999"}, {"profile": _BOB}]},
        "<contacts><contact><profile>emailAddress=ann@example.com</profile></contact><contact><profile>1999999</profile>"
        "</contact><contact><profile><attributes><attribute><name>emailAddress</name><value>bob@example.com</value>"
        "</attribute><attribute><name>lastName</name><value>Bos</value></attribute></attributes></profile></contact></contacts>",
        check=lambda a: (a["accepted"], a["rejected"]) == (2, 1) and a["contacts"][1]["code"] == "profile.unknown",
        xpath="/contactResults[accepted='2'][rejected='1']/contacts/contact[2]/code[.='profile.unknown']",
    ),
    Case(
        "interactions of mail", "GET", _CATEGORY, _ONE + "/profile/emailAddress=ann@example.com/interaction", 200,
        check=lambda a: a == {"interactions": []}, xpath="/interactions",
    ),
]  # fmt: skip

_MAILS5 = "/v5/entities/hotels/mails/{mail}"
_LIMITS = {"contactPressure": {"mails": 3, "days": 7}, "domains": [{"domain": "*", "mailsPerMinute": 600}]}
_HOURS = {"windows": [{"days": ["MON"], "from": "08:00", "to": "20:00"}], "timeZone": "RECIPIENT"}
CAMPAIGNS_V5 = [
    Case(
        "delivery limits", "GET", _CATEGORY, "/v5/delivery-limits", 200,
        check=lambda a: a == {"contactPressure": None, "domains": [], "senders": [], "heldDomains": []},
    ),
    Case(
        "set delivery limits", "PUT", _CATEGORY, "/v5/delivery-limits", 200, _LIMITS,
        check=lambda a: a["contactPressure"] == {"mails": 3, "days": 7} and a["domains"][0]["connections"] is None,
    ),
    Case(
        "delivery settings", "GET", _CATEGORY, _MAILS5 + "/delivery-settings", 200,
        check=lambda a: a == {"mailsPerMinute": None, "sendingHours": None},
    ),
    Case(
        "set delivery settings", "PUT", _CATEGORY, _MAILS5 + "/delivery-settings", 200, {"sendingHours": _HOURS},
        check=lambda a: a["sendingHours"] == _HOURS | {"attribute": None},
    ),
]  # fmt: skip

_VARIANTS = [{"name": "A"}, {"name": "B", "contents": [{"subject": "Only until Sunday, {{ lastName }}"}]}]
CAMPAIGNS_V5 += [
    Case(
        "set A/B test", "PUT", _CATEGORY, _MAILS5 + "/ab-test", 200, {"share": 20, "variants": _VARIANTS},
        check=lambda a: a["state"] == "IN_DEFINITION" and a["criterion"] == "OPENS" and a["winner"] is None,
    ),
    Case("no A/B test", "GET", _CATEGORY, _MAILS5 + "/ab-test", 404, check=lambda a: a["code"] == "abTest.unknown"),
    Case("delete no A/B test", "DELETE", _CATEGORY, _MAILS5 + "/ab-test", 404),
    Case("choose without a test", "POST", _CATEGORY, _MAILS5 + "/ab-test/winner", 404, {"variant": "B"}),
    Case(
        "copy mail", "POST", _CATEGORY, _MAILS5 + "/copies", 201, {"name": "Other"},
        check=lambda a: (a["name"], a["displayName"], a["state"], a["notice"]) == ("Other", "Other", "IN_DEFINITION", None),
        once=True,
    ),
    Case(
        "copy mail without a body", "POST", _CATEGORY, _MAILS5 + "/copies", 201,
        check=lambda a: a["name"].endswith(" (2)"),
    ),
    Case(
        "unschedule what is not scheduled", "POST", _CATEGORY, _MAILS5 + "/unschedule", 409,
        check=lambda a: a["code"] == "campaign.state",
    ),
]  # fmt: skip
