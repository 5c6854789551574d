"""The meaning of each error code of Huawei Cloud: a sentence, whose side the error is on, and the remedy.

Sources: OMS API reference, "Error Codes" and "Migration failure causes" (OMS, TRF); API Gateway user guide,
"Error Codes" (APIG, which also answers as APIGW); IAM API reference, "Error Codes".
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum


class Side(StrEnum):
    """Whose side an error is on, and so where it has to be fixed. The card shows the value after "Side: "."""

    #: The source bucket, its account or its key.
    SOURCE = "the source storage"
    #: The destination bucket, its account or its key.
    DESTINATION = "the destination storage"
    #: The permissions of the bot's IAM user.
    PERMISSIONS = "the bot's permissions"
    #: The access key, password or token of the bot's IAM user.
    CREDENTIALS = "the bot's credentials"
    #: Huawei Cloud itself: a failure, a limit or the account.
    CLOUD = "Huawei Cloud"
    #: The bot, its settings, its machine or its network.
    BOT = "the bot or its settings"
    #: Vault: it cannot be reached, refuses, or has the wrong secrets.
    VAULT = "Vault"
    #: The task group: its status or its settings.
    GROUP = "the task group"


@dataclass(frozen=True)
class Meaning:
    """What one error code means."""

    code: str
    sentence: str
    side: Side
    # What to do. `{caller}`, `{source}` and `{destination}` stand for the Vault paths of the keys. `{retry}` stands for
    # the sentence on how to retry, which otherwise comes last.
    remedy: str
    retryable: bool = True  # whether a retry can succeed once the remedy is applied


# A call that OMS refuses because of the group's status. Reading the group tells whether it runs.
ALREADY_RUNNING = frozenset({"OMS.0065"})
WRONG_STATE = frozenset({"OMS.0070", "OMS.1036", "OMS.1038", "OMS.1039", "OMS.1040"})
# A group that is not in this project and region, or was deleted.
NOT_FOUND = frozenset({"OMS.1009", "HTTP 404"})
# OMS cannot use its list of failed objects. A retry of all objects needs no list.
FAILED_OBJECT_LIST = frozenset({"OMS.0167", "OMS.0307", "OMS.0308"})

_FIX_SOURCE = "Check that {source} in Vault holds a valid key of the source account."
_FIX_DESTINATION = "Check that {destination} in Vault holds a valid key with access to the destination bucket."
_FIX_KEYS = "Check the keys at {caller}, {source} and {destination} in Vault."
_ADD_CDN_KEY = "Add source_cdn_authentication_key to {source} in Vault."
_GRANT_SOURCE = "Ask the owner of the source bucket to let the key at {source} list it and read its objects."
_GRANT_DESTINATION = "Ask the owner of the destination bucket to let the key at {destination} write to it."
_FIX_CREDENTIALS = "Check the bot's credentials at {caller} in Vault, and their IAM user in Huawei Cloud."
_FIX_USER = "Check the IAM user in Huawei Cloud whose credentials are at {caller} in Vault."
_GRANT = (
    "Ask a Huawei Cloud administrator to grant the permissions get, list and update of oms:taskgroup to the IAM user "
    "whose credentials are at {caller} in Vault."
)
_CHECK_GROUP = "Check the group in the Huawei Cloud console."
_CHECK_ID = "Check the group id, and region and project_id in bot.toml."
_CHECK_ID_AND_GRANT = f"Check the group id. If it's correct, {_GRANT[0].lower()}{_GRANT[1:]}"
_ALLOW_ACCESS = "Ask a Huawei Cloud administrator to allow programmatic access for this user."
_CHECK_REGION = "Check region in bot.toml."
_CHECK_URL = "Check oms_url and iam_url in bot.toml."
_CHECK_TOPIC = "Check the group's SMN topic."
_WAIT = "Wait a few minutes."
_WAIT_A_DAY = "Wait until the 24-hour limit allows more."
_TICKET = (
    "Wait a few minutes. {retry} If the error persists, open a ticket with Huawei Cloud and quote the Huawei "
    "request id."
)
_REPORT = "This looks like a bug in the bot. Tell the bot's administrator."
_TICKET_FOR_GROUP = "Wait a few minutes. {retry} If it persists, open a ticket and quote the task group id."
_SOURCE_KEY = "Ask the owner of the source account for a valid key, and write it to {source} in Vault."
_DESTINATION_KEY = "Ask the bucket's owner for a valid key, and write it to {destination} in Vault."
_BUCKET = "Ask the bucket's owner whether it was deleted or renamed."
_OBJECTS = "Ask the bucket's owner whether the objects were deleted on purpose."
_STORAGE = "Wait a few minutes. {retry} If it persists, ask the storage's owner about a disruption."
_SLOWER = "Ask the owner of the source account to raise its request limits, or limit the group's bandwidth."
_ACCOUNT = "Ask the account owner to resolve this with Huawei Cloud."
_NOTHING = "You don't need to do anything."
_LIST_FILE = "Correct the list file in the destination bucket, or the group's object selection."
# The documentation lists seven codes together with seven causes, without saying which code has which cause.
_LIST_NOT_USABLE = (
    "OMS can't use the group's list or selection of objects. The list may be missing, empty, larger than 100 MB, not a "
    ".txt file, of the wrong content type or format, or have a line of more than 65,535 characters."
)
_RESTORE = "Ask the owner of the source bucket to restore the archived objects."

# Abbreviations for the tables.
S, D, P, K = Side.SOURCE, Side.DESTINATION, Side.PERMISSIONS, Side.CREDENTIALS
C, B, G, V = Side.CLOUD, Side.BOT, Side.GROUP, Side.VAULT

# Codes with the same meaning, sentence, side, remedy.
_ROWS: tuple[tuple[str, str, Side, str], ...] = (
    ("OMS.0001 OMS.0064", "OMS rejected a parameter of the call.", B, _REPORT),
    ("OMS.0002", "OMS rejected the format of the call.", B, _REPORT),
    ("OMS.0004", "OMS rejected the HTTP call.", B, _REPORT),
    ("OMS.0005 OMS.1008", "OMS rejected the HTTP method of the call.", B, _REPORT),
    ("OMS.0053", "OMS can't find the task, or the bot isn't allowed to see it.", P, _CHECK_ID_AND_GRANT),
    ("OMS.0054", "OMS doesn't accept this id.", G, _CHECK_ID),
    ("OMS.0057", "OMS rejected the source key or the source settings.", S, _FIX_SOURCE),
    ("OMS.0058", "OMS rejected the destination key or the destination settings.", D, _FIX_DESTINATION),
    ("OMS.0060 OMS.0080", "OMS doesn't support the destination region.", D, _CHECK_REGION),
    ("OMS.0061 OMS.1006", "OMS couldn't read the body of the call.", B, _REPORT),
    ("OMS.0062", "OMS couldn't save the change.", C, _TICKET),
    ("OMS.0063", "The group is still migrating.", G, _CHECK_GROUP),
    ("OMS.0065", "OMS says that the group is already running.", G, _NOTHING),
    ("OMS.0066", "The group isn't migrating, so it can't be paused.", G, _CHECK_GROUP),
    ("OMS.0067", "OMS found no JSON in the body of the call.", B, _REPORT),
    ("OMS.0068 OMS.1005", "OMS couldn't authenticate the bot or one of the keys.", K, _FIX_KEYS),
    ("OMS.0070", "The group is already complete.", G, _NOTHING),
    ("OMS.0072", "Insufficient permission. The bot isn't allowed to do this in this project.", P, _GRANT),
    ("OMS.0073", "OMS couldn't delete the group.", C, _TICKET),
    ("OMS.0074 OMS.1002 OMS.1003", "The parameters of the call don't match the OMS API.", B, _REPORT),
    ("OMS.0075 OMS.0077", "The account has reached its 24-hour limit for new tasks.", C, _WAIT_A_DAY),
    ("OMS.0076", "Too many tasks are waiting in this account.", C, "Wait until some tasks finish."),
    ("OMS.0078", "The group's description contains forbidden characters.", G, _CHECK_GROUP),
    ("OMS.0079", "OMS doesn't support the source region.", S, _CHECK_GROUP),
    ("OMS.0081", "OMS couldn't validate the source's CDN domain.", S, "Check the group's CDN domain."),
    ("OMS.0083", "The group has too many bandwidth time slots.", G, _CHECK_GROUP),
    ("OMS.0084", "A bandwidth limit of the group is out of range.", G, _CHECK_GROUP),
    ("OMS.0085", "The group's bandwidth time slots overlap.", G, _CHECK_GROUP),
    ("OMS.0086", "OMS couldn't change the bandwidth limits.", C, _TICKET),
    ("OMS.0087", "A bandwidth time slot of the group isn't valid.", G, _CHECK_GROUP),
    ("OMS.0089", "A source object is missing, or its permissions changed.", S, "Check the source bucket."),
    ("OMS.0151 OMS.0152 OMS.0153 OMS.0154 OMS.0155", "OMS couldn't look up the region or the bucket.", S, _FIX_SOURCE),
    ("OMS.0156", "The SMN notification failed inside Huawei Cloud.", C, _TICKET),
    ("OMS.0157 OMS.0169", "The group's SMN topic doesn't exist, or OMS isn't allowed to use it.", G, _CHECK_TOPIC),
    ("OMS.0158", "OMS isn't allowed to publish to the group's SMN topic.", G, "Allow OMS in the topic's policy."),
    ("OMS.0159 OMS.0160", "The SMN notification failed inside OMS.", C, _TICKET),
    ("OMS.0161", "The SMN notification failed on the network.", C, _TICKET),
    ("OMS.0167", "The list of failed objects doesn't exist.", G, "Retry all objects instead of the failed ones."),
    ("OMS.0168", "The group's SMN topic is in another region.", G, "Use a topic in the group's region."),
    ("OMS.0201", "The Huawei Cloud account is restricted (for example, unpaid bills).", C, _ACCOUNT),
    ("OMS.0202", "The Huawei Cloud account is frozen.", C, _ACCOUNT),
    ("OMS.0203", "The Huawei Cloud account isn't verified.", C, _ACCOUNT),
    ("OMS.0204", "The Huawei Cloud account has no real-name authentication.", C, _ACCOUNT),
    ("OMS.0302 OMS.0303 OMS.0304 OMS.0305", "OMS couldn't list the source.", S, _FIX_SOURCE),
    ("OMS.0306", "The source contains no objects.", S, "Check the source bucket and the group's prefixes."),
    ("OMS.0307 OMS.0308", "OMS couldn't read the list of failed objects.", G, _CHECK_GROUP),
    ("OMS.1001", "OMS had an internal error.", C, _TICKET),
    ("OMS.1004 OMS.1007", "A parameter is missing, usually a key.", V, "Check that this card's keys are complete."),
    ("OMS.1009", "OMS can't find this task group in this project and region.", G, _CHECK_ID),
    ("OMS.1010", "A parameter of the call has the wrong type.", B, _REPORT),
    ("OMS.1014 OMS.1016", "OMS can't read the source bucket with the source key.", S, _FIX_SOURCE),
    ("OMS.1020", "OMS can't access the destination bucket with the destination key.", D, _FIX_DESTINATION),
    ("OMS.1032", "The source's CDN needs an authentication key, and none was sent.", S, _ADD_CDN_KEY),
    ("OMS.1021 OMS.1037", "The account has reached its 24-hour limit for new task groups.", C, _WAIT_A_DAY),
    ("OMS.1036", "The group's status doesn't allow this.", G, _CHECK_GROUP),
    ("OMS.1038", 'Only a group with the status "monitoring" can be paused.', G, _CHECK_GROUP),
    ("OMS.1039", "Only a paused group can be resumed, and this one is no longer paused.", G, _CHECK_GROUP),
    ("OMS.1040", "Only a failed group can be retried.", G, _CHECK_GROUP),
    ("OMS.1041", "The bucket belongs to another tenant.", D, _FIX_DESTINATION),
    ("TRF.0001", "OMS had an internal error during the migration.", C, _TICKET_FOR_GROUP),
    ("TRF.0003", "OMS timed out during the migration.", C, _TICKET_FOR_GROUP),
    ("TRF.0012 TRF.0013 TRF.0014 TRF.0016 TRF.0017 TRF.0018 TRF.0019", _LIST_NOT_USABLE, G, _LIST_FILE),
    ("TRF.0015", "The source account has no Blob service.", S, _SOURCE_KEY),
    ("TRF.0051 TRF.0052 TRF.0054", "The destination key lacks a permission.", D, _GRANT_DESTINATION),
    ("TRF.0053 TRF.0056 TRF.0063", "The destination account is expired, frozen or has unpaid bills.", D, _ACCOUNT),
    ("TRF.0055", "The destination bucket is full.", D, "Ask the bucket's owner to raise its quota."),
    ("TRF.0057", "The destination key isn't valid.", D, _DESTINATION_KEY),
    ("TRF.0058", "The destination bucket doesn't exist.", D, _BUCKET),
    ("TRF.0059", "An object at the destination doesn't exist.", D, _OBJECTS),
    ("TRF.0060", "The path of an object is too long.", S, "Shorten the path or the prefix."),
    ("TRF.0061", "The destination's storage service failed.", D, _STORAGE),
    ("TRF.0062", "Parts of an object couldn't be uploaded.", D, _STORAGE),
    ("TRF.0151", "The source key isn't valid.", S, _SOURCE_KEY),
    ("TRF.0152 TRF.0153 TRF.0154", "The source key lacks a permission.", S, _GRANT_SOURCE),
    ("TRF.0155", "The source bucket doesn't exist.", S, _BUCKET),
    ("TRF.0156", "An object at the source doesn't exist.", S, _OBJECTS),
    ("TRF.0157", "The source's storage service failed.", S, _STORAGE),
    (
        "TRF.0158",
        "The encryption of the destination bucket is in the wrong state.",
        D,
        "Ask the bucket's owner to check its KMS key.",
    ),
    ("TRF.0159", "The source's storage service is throttling OMS.", S, _SLOWER),
    ("TRF.0160 TRF.0301", "Archived objects at the source aren't restored.", S, _RESTORE),
    ("TRF.0201 TRF.0202", "Restoring archived objects at the source failed.", S, _RESTORE),
    ("APIG.0101", "The API gateway doesn't know this address.", B, "Check region and oms_url in bot.toml."),
    ("APIG.0201", "The API gateway found the call malformed, or its backend didn't answer.", C, _TICKET),
    ("APIG.0203", "The API gateway's backend timed out.", C, _WAIT),
    ("APIG.0301", "The API gateway rejected the signature of the bot's access key.", K, _FIX_CREDENTIALS),
    ("APIG.0302", "The API gateway denies access to the bot's IAM user.", P, _FIX_USER),
    ("APIG.0304", "The API gateway denies access to the bot's application.", P, _FIX_USER),
    ("APIG.0306", "The API gateway denies access to this API.", P, _FIX_USER),
    ("APIG.0307", "The bot's token is no longer valid.", K, _FIX_CREDENTIALS),
    ("APIG.0308", "The API gateway is throttling calls.", C, _WAIT),
    ("APIG.0310", "The project isn't available.", C, "Check project_id in bot.toml."),
    ("APIG.0401", "The API gateway doesn't know the bot's IP address.", P, "Check the IAM access rules."),
    ("APIG.0402", "The API gateway doesn't allow the bot's IP address.", P, "Allow it in the IAM access rules."),
    ("APIG.0601", "The API gateway had an internal error.", C, _TICKET),
    ("APIG.0610", "The API gateway has no backend for this call.", C, _TICKET),
    ("APIG.0613", "The API gateway couldn't reach IAM.", C, _TICKET),
    ("APIG.0802 IAM.0083", "The bot's IAM user isn't allowed in this region.", P, _FIX_USER),
    ("IAM.0001", "IAM requires authentication.", K, _FIX_CREDENTIALS),
    ("IAM.0002", "IAM doesn't authorize the bot.", P, _GRANT),
    ("IAM.0003", "An IAM policy denies this call.", P, _GRANT),
    ("IAM.0004", "IAM can't find the resource.", P, _FIX_USER),
    ("IAM.0006", "IAM had an internal error.", C, _TICKET),
    ("IAM.0007 IAM.0011 IAM.0072 IAM.0073", "IAM rejected the call as invalid.", B, _REPORT),
    ("IAM.0012", "IAM is throttling calls.", C, _WAIT),
    ("IAM.0020", "IAM no longer offers this API.", B, _REPORT),
    ("IAM.0061", "The bot's IAM user is locked after too many failed logins.", K, _FIX_CREDENTIALS),
    ("IAM.0062", "The password of the bot's IAM user is wrong.", K, _FIX_CREDENTIALS),
    ("IAM.0066", "The bot's token has expired.", K, _WAIT),
    ("IAM.0067", "The bot's token isn't valid.", K, _FIX_CREDENTIALS),
    ("IAM.0080", "The IAM user of the bot's access key is disabled.", P, _FIX_USER),
    ("IAM.0081", "The bot's IAM user has no programmatic access.", P, _ALLOW_ACCESS),
    ("IAM.0082", "The bot's IAM user is disabled.", P, _FIX_USER),
    ("IAM.1108", "The bot's security token has expired.", K, "Write a new token to {caller} in Vault."),
    ("IAM.1109", "IAM can't find the project.", P, "Check project_id in bot.toml."),
)

CATALOGUE = {
    code: Meaning(code, sentence, side, remedy, retryable=remedy not in (_REPORT, _NOTHING))
    for codes, sentence, side, remedy in _ROWS
    for code in codes.split()
}

_KEY_LOCKED = Meaning(
    "APIG.0301",
    "The API gateway has locked the bot's access key after too many rejected signatures.",
    Side.CREDENTIALS,
    "Correct {caller} in Vault and wait five minutes.",
)
_CLOCK_WRONG = Meaning(
    "APIG.0301",
    "The API gateway rejected the signature as expired because the bot's clock is wrong.",
    Side.BOT,
    "Set the clock of the bot's machine (NTP).",
)

_TOKEN_REFUSED = Meaning(
    "APIG.0301", "The API gateway doesn't accept the bot's token.", Side.CREDENTIALS, _FIX_CREDENTIALS
)
# For codes that are not in the catalogue: statuses, sentence, side, remedy.
_BY_STATUS: tuple[tuple[range, str, Side, str], ...] = (
    (range(200, 300), "The migration failed for a reason that the bot doesn't know.", C, _TICKET_FOR_GROUP),
    (range(300, 400), "Huawei Cloud answered with a redirect, which the bot doesn't follow.", B, _CHECK_URL),
    (range(401, 402), "Huawei Cloud doesn't accept the bot's credentials.", K, _FIX_CREDENTIALS),
    (range(403, 404), "Huawei Cloud doesn't allow the bot to do this.", P, _GRANT),
    (range(404, 405), "OMS can't find this task group in this project and region.", G, _CHECK_ID),
    (range(405, 406), "Huawei Cloud rejected the HTTP method of the call.", B, _REPORT),
    (range(413, 414), "Huawei Cloud rejected the call as too large.", B, _REPORT),
    (range(429, 430), "Huawei Cloud is throttling calls.", C, _WAIT),
    (range(500, 600), "Huawei Cloud had an internal error.", C, _TICKET),
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
    return Meaning(code, "Huawei Cloud rejected the call with a code that the bot doesn't know.", C, _TICKET)


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
