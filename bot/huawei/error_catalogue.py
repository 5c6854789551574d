"""The meaning of each error code of Huawei Cloud: a sentence, whose side the error is on, and the remedy.

Sources: OMS API reference, "Error Codes" and "Migration failure causes" (OMS, TRF); API Gateway user guide,
"Error Codes" (APIG, which also answers as APIGW); IAM API reference, "Error Codes".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Side(StrEnum):
    """Whose side an error is on, and so where it has to be fixed. The value is shown on the card."""

    #: The source bucket, its account or its key.
    SOURCE = "the source"
    #: The destination bucket, its account or its key.
    DESTINATION = "the destination"
    #: The bot's IAM user: its credential or its permissions.
    PERMISSIONS = "the bot's own rights"
    #: Huawei Cloud itself: a failure, a limit or the account.
    CLOUD = "Huawei Cloud"
    #: The bot, its settings or its machine.
    BOT = "the bot"
    #: Vault: it cannot be reached, refuses, or has the wrong secrets.
    VAULT = "the bot's Vault"
    #: The task group: its status or its settings.
    GROUP = "the task group"


@dataclass(frozen=True)
class Meaning:
    """What one error code means."""

    code: str
    sentence: str
    side: Side
    remedy: str  # what to do; `{caller}`, `{source}` and `{destination}` stand for the Vault paths of the keys
    retryable: bool = True  # whether a retry can succeed once the remedy is applied


# A call that OMS refuses because of the group's status. Reading the group tells whether it runs.
ALREADY_RUNNING = frozenset({"OMS.0065"})
WRONG_STATE = frozenset({"OMS.0070", "OMS.1036", "OMS.1038", "OMS.1039", "OMS.1040"})
# A group that is not in this project and region, or was deleted.
NOT_FOUND = frozenset({"OMS.1009", "HTTP 404"})
# OMS cannot use its list of failed objects. A retry of all objects needs no list.
FAILED_OBJECT_LIST = frozenset({"OMS.0167", "OMS.0307", "OMS.0308"})

_FIX_SOURCE = "Look at {source} in Vault: does it hold the access key of the source account?"
_FIX_DESTINATION = "Look at {destination} in Vault: does its access key reach the bucket?"
_GRANT_SOURCE = "Let the user of the access key at {source} list the source bucket and read its objects."
_FIX_CALLER = "Look at {caller} in Vault and at that IAM user."
_GRANT = "Grant get, list and update of oms:taskgroup to the IAM user behind {caller}."
_LOOK_AT_GROUP = "Look at the group in the console."
_WAIT = "Wait some minutes."
_TICKET = "Wait some minutes. If it stays, open a ticket with Huawei Cloud and give its request id."
_REPORT = "This looks like a fault of the bot. Give this card to whoever runs it."
_ACCOUNT = "Whoever owns the account has to put it in order at Huawei Cloud."
_NOTHING = "Nothing is to be done."
_LIST_FILE = "Correct the list file in the destination bucket, or the choice of objects."
# The documentation lists seven codes together with seven causes, without saying which code has which cause.
_LIST_NOT_USABLE = (
    "The list of objects or URLs, or the choice of them, cannot be used: it is missing, empty, larger than 100 MB, no "
    ".txt file, of the wrong content type or format, or a line of it has more than 65,535 characters."
)
_THAW = "Thaw the archived objects at the source."

# Abbreviations for the tables.
S, D, P, C, B, G = Side.SOURCE, Side.DESTINATION, Side.PERMISSIONS, Side.CLOUD, Side.BOT, Side.GROUP

# Code, sentence, side, remedy.
_ROWS: tuple[tuple[str, str, Side, str], ...] = (
    ("OMS.0001", "OMS found a parameter wrong.", B, _REPORT),
    ("OMS.0002", "OMS found the request badly formatted.", B, _REPORT),
    ("OMS.0004", "OMS did not accept the HTTP request.", B, _REPORT),
    ("OMS.0005", "OMS did not accept the HTTP method.", B, _REPORT),
    ("OMS.0053", "OMS does not find the task, or the bot may not see it.", P, _GRANT),
    ("OMS.0054", "OMS does not know this id.", G, "Check the id and the region."),
    ("OMS.0057", "OMS rejects the source: its access key or its settings.", S, _FIX_SOURCE),
    ("OMS.0058", "OMS rejects the destination: its access key or its settings.", D, _FIX_DESTINATION),
    ("OMS.0060", "OMS does not support the destination region.", D, "Check region in bot.toml."),
    ("OMS.0061", "OMS could not read the request body.", B, _REPORT),
    ("OMS.0062", "OMS could not save the change.", C, _TICKET),
    ("OMS.0063", "The group is still migrating.", G, _LOOK_AT_GROUP),
    ("OMS.0064", "OMS found a request parameter invalid.", B, _REPORT),
    ("OMS.0065", "The group was already started.", G, _NOTHING),
    ("OMS.0066", "The group is not migrating, so it cannot be paused.", G, _LOOK_AT_GROUP),
    ("OMS.0067", "OMS found no JSON in the request body.", B, _REPORT),
    ("OMS.0068", "OMS could not authenticate: the bot's identity, or one of the keys.", P, _FIX_CALLER),
    ("OMS.0070", "The group is already complete.", G, _NOTHING),
    ("OMS.0072", "Insufficient permission. The bot may not do this to task groups in this project.", P, _GRANT),
    ("OMS.0073", "OMS could not delete the group.", C, _TICKET),
    ("OMS.0074", "OMS expects other parameters than the bot sent.", B, _REPORT),
    ("OMS.0075", "The account has created as many tasks as it may in 24 hours.", C, _WAIT),
    ("OMS.0076", "Too many tasks wait in this account.", C, _WAIT),
    ("OMS.0077", "The account has created as many tasks as it may in 24 hours.", C, _WAIT),
    ("OMS.0078", "The description of the group holds forbidden characters.", G, _LOOK_AT_GROUP),
    ("OMS.0079", "OMS does not support the source region.", S, _LOOK_AT_GROUP),
    ("OMS.0080", "OMS does not support the destination region.", D, "Check region in bot.toml."),
    ("OMS.0081", "The check of the source's CDN domain failed.", S, "Check the CDN domain of the group."),
    ("OMS.0083", "The group has too many bandwidth periods.", G, _LOOK_AT_GROUP),
    ("OMS.0084", "A bandwidth limit of the group is out of range.", G, _LOOK_AT_GROUP),
    ("OMS.0085", "The bandwidth periods of the group overlap.", G, _LOOK_AT_GROUP),
    ("OMS.0086", "OMS could not change the bandwidth limits.", C, _TICKET),
    ("OMS.0087", "A bandwidth period of the group is wrong.", G, _LOOK_AT_GROUP),
    ("OMS.0089", "An object at the source is gone, or its rights were changed.", S, "Check the source bucket."),
    ("OMS.0151", "OMS could not look up the region or the bucket.", S, _FIX_SOURCE),
    ("OMS.0152", "OMS could not look up the region or the bucket.", S, _FIX_SOURCE),
    ("OMS.0153", "OMS could not look up the region or the bucket.", S, _FIX_SOURCE),
    ("OMS.0154", "OMS could not look up the region or the bucket.", S, _FIX_SOURCE),
    ("OMS.0155", "OMS could not look up the region or the bucket.", S, _FIX_SOURCE),
    ("OMS.0156", "Notifying by SMN failed inside Huawei Cloud.", C, _TICKET),
    ("OMS.0157", "The SMN topic of the group is missing, or OMS may not use it.", G, "Check the SMN topic."),
    ("OMS.0158", "OMS may not publish to the SMN topic of the group.", G, "Allow OMS in the topic's policy."),
    ("OMS.0159", "Notifying by SMN failed inside OMS.", C, _TICKET),
    ("OMS.0160", "Notifying by SMN failed inside OMS.", C, _TICKET),
    ("OMS.0161", "Notifying by SMN failed on the network.", C, _TICKET),
    ("OMS.0167", "The list of failed objects is not there.", G, "Retry all objects instead of the failed ones."),
    ("OMS.0168", "The SMN topic of the group is in another region.", G, "Use a topic in the region of the group."),
    ("OMS.0169", "The SMN topic of the group is missing, or OMS may not use it.", G, "Check the SMN topic."),
    ("OMS.0201", "The Huawei Cloud account is restricted, as with arrears.", C, _ACCOUNT),
    ("OMS.0202", "The Huawei Cloud account is frozen.", C, _ACCOUNT),
    ("OMS.0203", "The Huawei Cloud account is not verified.", C, _ACCOUNT),
    ("OMS.0204", "The Huawei Cloud account has no real-name authentication.", C, _ACCOUNT),
    ("OMS.0302", "OMS could not list the source.", S, _FIX_SOURCE),
    ("OMS.0303", "OMS could not list the source.", S, _FIX_SOURCE),
    ("OMS.0304", "OMS could not list the source.", S, _FIX_SOURCE),
    ("OMS.0305", "OMS could not list the source.", S, _FIX_SOURCE),
    ("OMS.0306", "The source holds no objects.", S, "Check the source bucket and the prefixes of the group."),
    ("OMS.0307", "OMS could not read the list of failed objects.", G, _LOOK_AT_GROUP),
    ("OMS.0308", "OMS could not read the list of failed objects.", G, _LOOK_AT_GROUP),
    ("OMS.1001", "OMS failed inside.", C, _TICKET),
    ("OMS.1002", "OMS expects other parameters than the bot sent.", B, _REPORT),
    ("OMS.1003", "OMS expects other parameters than the bot sent.", B, _REPORT),
    ("OMS.1004", "OMS misses a parameter: as a rule one of the keys.", B, "Compare the keys on this card."),
    ("OMS.1005", "OMS could not authenticate: the bot's identity, or one of the keys.", P, _FIX_CALLER),
    ("OMS.1006", "OMS could not read the request body.", B, _REPORT),
    ("OMS.1007", "OMS misses a parameter: as a rule one of the keys.", B, "Compare the keys on this card."),
    ("OMS.1008", "OMS does not accept the HTTP method.", B, _REPORT),
    ("OMS.1009", "OMS does not find this task group in this project and region.", G, "Check the id."),
    ("OMS.1010", "OMS expects another type of parameter than the bot sent.", B, _REPORT),
    ("OMS.1014", "OMS cannot read the source bucket with these keys.", S, _FIX_SOURCE),
    ("OMS.1016", "OMS cannot read the source bucket with these keys.", S, _FIX_SOURCE),
    ("OMS.1020", "OMS cannot reach the destination bucket with these keys.", D, _FIX_DESTINATION),
    ("OMS.1021", "The account has created as many task groups as it may in 24 hours.", C, _WAIT),
    ("OMS.1032", "The source's CDN needs an authentication key, and none was sent.", S, _FIX_SOURCE),
    ("OMS.1036", "The group's state forbids this.", G, _LOOK_AT_GROUP),
    ("OMS.1037", "The account has created as many task groups as it may in 24 hours.", C, _WAIT),
    ("OMS.1038", "Only a group that is being monitored can be paused.", G, _LOOK_AT_GROUP),
    ("OMS.1039", "Only a paused group can be resumed, and this one no longer is.", G, _LOOK_AT_GROUP),
    ("OMS.1040", "Only a failed group can be retried.", G, _LOOK_AT_GROUP),
    ("OMS.1041", "The bucket belongs to another tenant.", D, _FIX_DESTINATION),
    ("TRF.0001", "OMS failed inside while migrating.", C, _TICKET),
    ("TRF.0003", "OMS waited too long while migrating.", C, _TICKET),
    ("TRF.0012", _LIST_NOT_USABLE, G, _LIST_FILE),
    ("TRF.0013", _LIST_NOT_USABLE, G, _LIST_FILE),
    ("TRF.0014", _LIST_NOT_USABLE, G, _LIST_FILE),
    ("TRF.0015", "The source account has no Blob service.", S, _FIX_SOURCE),
    ("TRF.0016", _LIST_NOT_USABLE, G, _LIST_FILE),
    ("TRF.0017", _LIST_NOT_USABLE, G, _LIST_FILE),
    ("TRF.0018", _LIST_NOT_USABLE, G, _LIST_FILE),
    ("TRF.0019", _LIST_NOT_USABLE, G, _LIST_FILE),
    ("TRF.0051", "The destination's access key lacks a permission.", D, _FIX_DESTINATION),
    ("TRF.0052", "The destination's access key lacks a permission.", D, _FIX_DESTINATION),
    ("TRF.0053", "The destination account is expired, frozen or in arrears.", D, _ACCOUNT),
    ("TRF.0054", "The destination's access key lacks a permission.", D, _FIX_DESTINATION),
    ("TRF.0055", "The destination bucket is full.", D, "Raise the quota of the bucket."),
    ("TRF.0056", "The destination account is expired, frozen or in arrears.", D, _ACCOUNT),
    ("TRF.0057", "The destination's access key is not valid.", D, _FIX_DESTINATION),
    ("TRF.0058", "The destination bucket is not there.", D, "Check the destination bucket."),
    ("TRF.0059", "An object at the destination is not there.", D, "Check the destination bucket."),
    ("TRF.0060", "The path of an object is too long.", S, "Shorten the path or the prefix."),
    ("TRF.0061", "The destination's storage service failed.", D, _WAIT),
    ("TRF.0062", "Parts of an object could not be uploaded.", D, _WAIT),
    ("TRF.0063", "The destination account is expired, frozen or in arrears.", D, _ACCOUNT),
    ("TRF.0151", "The source's access key is not valid.", S, _FIX_SOURCE),
    ("TRF.0152", "The source's access key lacks a permission.", S, _GRANT_SOURCE),
    ("TRF.0153", "The source's access key lacks a permission.", S, _GRANT_SOURCE),
    ("TRF.0154", "The source's access key lacks a permission.", S, _GRANT_SOURCE),
    ("TRF.0155", "The source bucket is not there.", S, "Check the source bucket."),
    ("TRF.0156", "An object at the source is not there.", S, "Check the source bucket."),
    ("TRF.0157", "The source's storage service failed.", S, _WAIT),
    ("TRF.0158", "The encryption of the destination bucket is in a wrong state.", D, "Check its KMS key."),
    ("TRF.0159", "The source slows OMS down.", S, "Limit the bandwidth of the group."),
    ("TRF.0160", "Archived objects at the source are not thawed.", S, _THAW),
    ("TRF.0201", "Thawing archived objects at the source failed.", S, _THAW),
    ("TRF.0202", "Thawing archived objects at the source failed.", S, _THAW),
    ("TRF.0301", "Archived objects at the source are not thawed.", S, _THAW),
    ("APIG.0101", "The gateway does not know this address.", B, "Check region and oms_url in bot.toml."),
    ("APIG.0201", "The gateway found the request malformed, or its backend did not answer.", C, _TICKET),
    ("APIG.0203", "The gateway's backend took too long.", C, _WAIT),
    ("APIG.0301", "The gateway refused the signature of the bot's own access key.", P, _FIX_CALLER),
    ("APIG.0302", "The gateway forbids this user.", P, _FIX_CALLER),
    ("APIG.0304", "The gateway forbids this application.", P, _FIX_CALLER),
    ("APIG.0306", "The gateway forbids this API.", P, _FIX_CALLER),
    ("APIG.0307", "The bot's token is no longer valid.", P, _FIX_CALLER),
    ("APIG.0308", "The gateway asks to slow down.", C, _WAIT),
    ("APIG.0310", "The project is not available.", C, "Check project_id in bot.toml."),
    ("APIG.0401", "The gateway does not know the address that the bot calls from.", P, "Check the IAM access rules."),
    ("APIG.0402", "The gateway forbids the address that the bot calls from.", P, "Allow it in the IAM access rules."),
    ("APIG.0601", "The gateway failed inside.", C, _TICKET),
    ("APIG.0610", "The gateway has no backend for this.", C, _TICKET),
    ("APIG.0613", "The gateway could not reach IAM.", C, _TICKET),
    ("APIG.0802", "The bot's IAM user is forbidden in this region.", P, _FIX_CALLER),
    ("IAM.0001", "IAM asks for authentication.", P, _FIX_CALLER),
    ("IAM.0002", "IAM does not authorise the bot.", P, _GRANT),
    ("IAM.0003", "An IAM policy forbids this.", P, _GRANT),
    ("IAM.0004", "IAM does not find what was asked for.", P, _FIX_CALLER),
    ("IAM.0006", "IAM failed inside.", C, _TICKET),
    ("IAM.0007", "IAM found the request invalid.", B, _REPORT),
    ("IAM.0011", "IAM found the request invalid.", B, _REPORT),
    ("IAM.0012", "IAM asks to slow down.", C, _WAIT),
    ("IAM.0020", "IAM no longer offers this.", B, _REPORT),
    ("IAM.0061", "The bot's IAM user is locked after too many failed logins.", P, _FIX_CALLER),
    ("IAM.0062", "The password of the bot's IAM user is wrong.", P, _FIX_CALLER),
    ("IAM.0066", "The bot's token has expired.", P, _WAIT),
    ("IAM.0067", "The bot's token is not valid.", P, _FIX_CALLER),
    ("IAM.0072", "IAM found the request invalid.", B, _REPORT),
    ("IAM.0073", "IAM found the request invalid.", B, _REPORT),
    ("IAM.0080", "The IAM user of the bot's access key is disabled.", P, _FIX_CALLER),
    ("IAM.0081", "The bot's IAM user has no programmatic access.", P, "Allow it programmatic access in IAM."),
    ("IAM.0082", "The bot's IAM user is disabled.", P, _FIX_CALLER),
    ("IAM.0083", "The bot's IAM user may not use this region.", P, _FIX_CALLER),
    ("IAM.1108", "The bot's security token has expired.", P, "Write a fresh one to {caller}."),
    ("IAM.1109", "IAM does not find the project.", P, "Check project_id in bot.toml."),
)

CATALOGUE = {
    code: Meaning(code, sentence, side, remedy, retryable=remedy not in (_REPORT, _NOTHING))
    for code, sentence, side, remedy in _ROWS
}

_KEY_LOCKED = Meaning(
    "APIG.0301",
    "The gateway has locked the bot's access key after too many refused signatures.",
    Side.PERMISSIONS,
    "Correct {caller} in Vault and wait five minutes.",
)
_CLOCK_WRONG = Meaning(
    "APIG.0301",
    "The gateway refused the signature as too old: the bot's clock is wrong.",
    Side.BOT,
    "Set the clock of the bot's machine (NTP).",
)

_TOKEN_REFUSED = Meaning("APIG.0301", "The gateway does not accept the bot's token.", Side.PERMISSIONS, _FIX_CALLER)
# For codes that are not in the catalogue: statuses, sentence, side, remedy.
_BY_STATUS: tuple[tuple[range, str, Side, str], ...] = (
    (range(300, 400), "Huawei Cloud answered with a redirect, which the bot does not follow.", B, "Check oms_url."),
    (range(401, 402), "Huawei Cloud does not accept the bot's identity.", P, _FIX_CALLER),
    (range(403, 404), "Huawei Cloud forbids this to the bot.", P, _GRANT),
    (range(404, 405), "OMS does not find this task group in this project and region.", G, "Check the id."),
    (range(405, 406), "Huawei Cloud does not accept the HTTP method.", B, _REPORT),
    (range(413, 414), "Huawei Cloud finds the request too large.", B, _REPORT),
    (range(429, 430), "Huawei Cloud asks to slow down.", C, _WAIT),
    (range(500, 600), "Huawei Cloud failed inside.", C, _TICKET),
)


def meaning_of(code: str, http_status: int, message: str = "") -> Meaning:
    """What an error code means. A code that is not in the catalogue is explained by its HTTP status.

    A legacy code `S3M.nnnn` means the same as `OMS.nnnn`.

    Arguments:
        message: the message of the answer, which tells the causes of APIG.0301 apart.
    """
    known = CATALOGUE.get("OMS." + code.removeprefix("S3M.") if code.startswith("S3M.") else code)
    if known is not None:
        if code == "APIG.0301":
            return _meaning_of_0301(message, known)
        return replace(known, code=code)
    for statuses, sentence, side, remedy in _BY_STATUS:
        if http_status in statuses:
            return Meaning(code, sentence, side, remedy, retryable=remedy != _REPORT)
    return Meaning(code, "Huawei Cloud refused, with a code that the bot does not know.", C, _TICKET)


def _meaning_of_0301(message: str, known: Meaning) -> Meaning:
    """Tells the causes of APIG.0301 apart by the message (API Gateway FAQ)."""
    if "reach the limit" in message:
        return _KEY_LOCKED
    if "signature expired" in message:
        return _CLOCK_WRONG
    return _TOKEN_REFUSED if "token" in message else known


def is_identity_rejected(code: str) -> bool:
    """Whether the code refuses the bot's identity, so that repeating the call can lock it.

    The gateway locks an access key after five refused signatures (APIG.0301), and IAM a user after failed logins.
    """
    return code in ("APIG.0301", "IAM.0001", "IAM.0061", "IAM.0062", "IAM.0067", "IAM.0080", "IAM.0081", "IAM.0082")


def is_token_expired(code: str) -> bool:
    """Whether the code says that the token has expired, so that a new one helps (APIG.0307)."""
    return code == "APIG.0307"
