"""The calls of e-mail campaigns, version 4, as the table-driven tests send them."""

from tests.support.cases import Case
from tests.support.tenant import SUBJECT

_CATEGORY = "email-campaigns"
_MAIL = "/v4/entity/hotels/mail"
_ONE = _MAIL + "/{mail}"
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
    ),
    Case(
        "create mail without a mode", "POST", _CATEGORY, _MAIL, 201,
        {"name": "m", "targetTable": "Guests", "supportedLanguages": ["NL"]}, check=lambda a: list(a) == ["campaignId"],
        xpath="/mail/campaignId",
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
]  # fmt: skip
