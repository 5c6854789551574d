"""The task groups of the sandbox: one to resume, and others for each kind of source, status and outcome.

The constants are their ids.
"""

from __future__ import annotations

from datetime import timedelta

from bot.sandbox.huawei.group import (
    COMPLETED,
    CREATION_FAILED,
    DELETED,
    EXECUTING,
    MIGRATION_FAILED,
    MONITORING,
    PAUSED,
    PAUSING,
    WAITING,
    WAITING_FOR_DELETION,
    Cdn,
    Failure,
    Group,
)

NIGHTLY_IMAGES = "00878453-3402-4a86-9e2a-5d5217cd35b2"  # paused; the group of the demo
INVOICES = "1a2b3c4d-0000-4000-8000-000000000001"  # paused; archived objects are restored at the source
VIDEO_MASTERS = "1a2b3c4d-0000-4000-8000-000000000002"  # running
WEB_ASSETS = "1a2b3c4d-0000-4000-8000-000000000003"  # completed
OLD_BACKUPS = "1a2b3c4d-0000-4000-8000-000000000004"  # failed, TRF.0151
MAP_TILES = "1a2b3c4d-0000-4000-8000-000000000005"  # paused; a START is accepted and the group fails later, TRF.0152
CLICK_LOGS = "1a2b3c4d-0000-4000-8000-000000000006"  # paused; overwrites every object
SURVEY_SCANS = "1a2b3c4d-0000-4000-8000-000000000007"  # paused; Google Cloud Storage
CONTRACTS = "1a2b3c4d-0000-4000-8000-000000000008"  # paused; Azure, with a connection string
RADIO_SHOWS = "1a2b3c4d-0000-4000-8000-000000000009"  # paused; Azure, with an account key
PARTNER_FILES = "1a2b3c4d-0000-4000-8000-000000000010"  # paused; a list of URLs
PUBLIC_RECORDS = "1a2b3c4d-0000-4000-8000-000000000011"  # paused; HTTP sources
SHOP_PICTURES = "1a2b3c4d-0000-4000-8000-000000000012"  # paused; through a CDN
TAX_FILES = "1a2b3c4d-0000-4000-8000-000000000013"  # failed, with a record of 37 failed objects
LETTERS = "1a2b3c4d-0000-4000-8000-000000000014"  # creation failed, TRF.0013
BRANCH_OFFICES = "1a2b3c4d-0000-4000-8000-000000000015"  # waiting
SENSOR_DATA = "1a2b3c4d-0000-4000-8000-000000000016"  # executing
TICKET_SCANS = "1a2b3c4d-0000-4000-8000-000000000017"  # pausing, and paused 10 s after it is first shown
CLOSED_ACCOUNTS = "1a2b3c4d-0000-4000-8000-000000000018"  # waiting for deletion
FIRST_TRIAL = "1a2b3c4d-0000-4000-8000-000000000019"  # deleted
LEDGERS = "2b3c4d5e-0000-4000-8000-000000000001"  # paused; in the project archive
MICROFILM = "2b3c4d5e-0000-4000-8000-000000000002"  # failed, TRF.0057; in the project archive

_NO_CDN = Cdn("", "NONE")


def media_groups() -> list[Group]:
    """The groups of the project media: every status from 0 to 9, every kind of source."""
    return [
        Group(NIGHTLY_IMAGES, "nightly images", PAUSED),
        Group(INVOICES, "invoices 2019 to 2024", PAUSED, bucket="invoices", enable_restore=True),
        Group(
            VIDEO_MASTERS,
            "video masters",
            MONITORING,
            bucket="masters",
            total_bytes=900_000_000_000,
            complete_bytes=90 * 10**9,
            bandwidth_limit=157_286_400,
        ),
        Group(WEB_ASSETS, "web assets", COMPLETED, bucket="assets", complete_bytes=10_000_000_000),
        Group(
            OLD_BACKUPS,
            "old backups",
            MIGRATION_FAILED,
            bucket="backups",
            error=("TRF.0151", "Invalid AK/SK of the source end."),
        ),
        Group(
            MAP_TILES, "map tiles", PAUSED, bucket="tiles", fails_later=("TRF.0152", "The source AK/SK has no rights.")
        ),
        Group(CLICK_LOGS, "click logs", PAUSED, bucket="logs", overwrite_mode="FULL_OVERWRITE"),
        Group(SURVEY_SCANS, "survey scans", PAUSED, cloud_type="GOOGLE", bucket="scans"),
        Group(
            CONTRACTS, "contracts, by connection string", PAUSED, cloud_type="AZURE", bucket="contracts", cdn=_NO_CDN
        ),
        Group(RADIO_SHOWS, "radio shows, by account key", PAUSED, cloud_type="AZURE", bucket="radio"),
        Group(
            PARTNER_FILES,
            "partner files, by a list of URLs",
            PAUSED,
            task_type="URL_LIST",
            cloud_type="ALIYUN",
            bucket="",
        ),
        Group(PUBLIC_RECORDS, "public records, by HTTP", PAUSED, cloud_type="URLSOURCE", bucket=""),
        Group(
            SHOP_PICTURES,
            "shop pictures, through a CDN",
            PAUSED,
            cloud_type="ALIYUN",
            bucket="shop",
            cdn=Cdn("img.shop.example", "ALIYUN_OSS_A"),
        ),
        Group(
            TAX_FILES,
            "tax files",
            MIGRATION_FAILED,
            bucket="tax",
            complete_bytes=9_630_000_000,
            failed_objects=37,
            failures=(Failure("TRF.0157", "Source service error.", 2), Failure("TRF.0156", "No such object.", 1)),
            records_failed_objects=True,
            error=("TRF.0157", "Source service error."),
        ),
        Group(
            LETTERS,
            "letters",
            CREATION_FAILED,
            task_type="LIST",
            bucket="letters",
            complete_bytes=0,
            error=("TRF.0013", "The object list file does not exist."),
        ),
        Group(BRANCH_OFFICES, "branch offices", WAITING, bucket="branches", complete_bytes=0),
        Group(SENSOR_DATA, "sensor data", EXECUTING, bucket="sensors", complete_bytes=0),
        Group(
            TICKET_SCANS,
            "ticket scans",
            PAUSING,
            cloud_type="TENCENT",
            bucket="tickets",
            change_once_shown=(timedelta(seconds=10), PAUSED),
        ),
        Group(CLOSED_ACCOUNTS, "closed accounts", WAITING_FOR_DELETION, bucket="closed"),
        Group(FIRST_TRIAL, "first trial", DELETED, bucket="trial"),
    ]


def archive_groups() -> list[Group]:
    """The groups of the project archive, which is in another region."""
    return [
        Group(LEDGERS, "ledgers 1998 to 2010", PAUSED, bucket="ledgers", destination="ledgers-archive"),
        Group(
            MICROFILM,
            "microfilm",
            MIGRATION_FAILED,
            bucket="microfilm",
            destination="ledgers-archive",
            error=("TRF.0057", "Invalid AK/SK of the destination end."),
        ),
    ]
