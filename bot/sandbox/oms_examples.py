"""The task groups of the sandbox: one to resume, and one for each other kind, status and way that it may go."""

from __future__ import annotations

from datetime import timedelta

from bot.sandbox.oms_group import (
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
    Group,
)

NIGHTLY_IMAGES = "00878453-3402-4a86-9e2a-5d5217cd35b2"
LEDGERS = "2b3c4d5e-0000-4000-8000-000000000001"

_NO_CDN = Cdn("", "NONE")


def an(number: int) -> str:
    """The id of the group with this number."""
    return f"1a2b3c4d-0000-4000-8000-{number:012d}"


def media_groups() -> list[Group]:
    """Of the project media: every status from 0 to 9, every kind of source."""
    return [
        Group(NIGHTLY_IMAGES, "nightly images", PAUSED),
        Group(an(1), "invoices 2019 to 2024", PAUSED, bucket="invoices", enable_restore=True),
        Group(
            an(2),
            "video masters",
            MONITORING,
            bucket="masters",
            total_bytes=900_000_000_000,
            complete_bytes=90 * 10**9,
            bandwidth_limit=157_286_400,
        ),
        Group(an(3), "web assets", COMPLETED, bucket="assets", complete_bytes=10_000_000_000),
        Group(
            an(4),
            "old backups",
            MIGRATION_FAILED,
            bucket="backups",
            error=("TRF.0151", "Invalid AK/SK of the source end."),
        ),
        Group(an(5), "map tiles", PAUSED, bucket="tiles", fails_later=("TRF.0152", "The source AK/SK has no rights.")),
        Group(an(6), "click logs", PAUSED, bucket="logs", overwrite_mode="FULL_OVERWRITE"),
        Group(an(7), "survey scans", PAUSED, cloud_type="GOOGLE", bucket="scans"),
        Group(an(8), "contracts, by connection string", PAUSED, cloud_type="AZURE", bucket="contracts", cdn=_NO_CDN),
        Group(an(9), "radio shows, by account key", PAUSED, cloud_type="AZURE", bucket="radio"),
        Group(an(10), "partner files, by a list of URLs", PAUSED, task_type="URL_LIST", cloud_type="ALIYUN", bucket=""),
        Group(an(11), "public records, by HTTP", PAUSED, cloud_type="URLSOURCE", bucket=""),
        Group(
            an(12),
            "shop pictures, through a CDN",
            PAUSED,
            cloud_type="ALIYUN",
            bucket="shop",
            cdn=Cdn("img.shop.example", "ALIYUN_OSS_A"),
        ),
        Group(
            an(13),
            "tax files, 37 of them failed",
            MIGRATION_FAILED,
            bucket="tax",
            complete_bytes=9_600_000_000,
            failed_objects=37,
            records_failed_objects=True,
            error=("TRF.0157", "Source service error."),
        ),
        Group(
            an(14),
            "letters, list file lost",
            CREATION_FAILED,
            task_type="LIST",
            bucket="letters",
            complete_bytes=0,
            error=("TRF.0013", "The object list file does not exist."),
        ),
        Group(an(15), "branch offices, in the queue", WAITING, bucket="branches", complete_bytes=0),
        Group(an(16), "sensor data, being listed", EXECUTING, bucket="sensors", complete_bytes=0),
        Group(
            an(17),
            "ticket scans, on their way to paused",
            PAUSING,
            cloud_type="TENCENT",
            bucket="tickets",
            turns_once_shown=(timedelta(seconds=10), PAUSED),
        ),
        Group(an(18), "closed accounts, to be deleted", WAITING_FOR_DELETION, bucket="closed"),
        Group(an(19), "first trial, deleted", DELETED, bucket="trial"),
    ]


def archive_groups() -> list[Group]:
    """Of the project archive, in another region."""
    return [
        Group(LEDGERS, "ledgers 1998 to 2010", PAUSED, bucket="ledgers", destination="ledgers-archive"),
        Group(
            "2b3c4d5e-0000-4000-8000-000000000002",
            "microfilm",
            MIGRATION_FAILED,
            bucket="microfilm",
            destination="ledgers-archive",
            error=("TRF.0057", "Invalid AK/SK of the destination end."),
        ),
    ]
