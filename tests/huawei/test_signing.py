"""The signature equals that of Huawei Cloud: test vectors, and a comparison with the official SDK."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta, timezone
from urllib.parse import quote

import pytest
import requests
from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer
from hypothesis import given
from hypothesis import strategies as st

from bot.huawei.signing import AccessKey, AccessKeyAuth, canonical_request, signature
from bot.redaction import Secret

AK, SK = "AKEXAMPLE0000000TEST", "SKExampleSecret/0000000000000000000000+T"
DATE = "20260115T083000Z"
PROJECT = "0123456789abcdef0123456789abcdef"
GROUP = "00878453-3402-4a86-9e2a-5d5217cd35b2"
HOST = "oms.ap-southeast-3.myhuaweicloud.com"
BASE = f"https://{HOST}/v2/{PROJECT}"
START = b'{"src_ak":"SRCAK","src_sk":"SRCSK","dst_ak":"DSTAK","dst_sk":"DSTSK"}'
CDN = '{"dst_ak":"DSTAK","dst_sk":"DSTSK","source_cdn_authentication_key":"kéy 中"}'.encode()
UPPER, LOWER = "application/json;charset=UTF-8", "application/json;charset=utf-8"


def headers_to_sign(host: str, **more: str) -> dict[str, str]:
    headers = {"Host": host, "X-Project-Id": PROJECT, "X-Sdk-Date": DATE}
    return headers | {name.replace("_", "-"): value for name, value in more.items()}


VECTORS = [
    pytest.param(
        "GET",
        f"{BASE}/taskgroups?status=3&limit=100&offset=0",
        headers_to_sign(HOST),
        b"",
        "c27aeb21d14b527d0cc30f295b60bd8cf851457b7c2898e2393d6fac2b2f9363",
        "0a47218f99213ddf8c4502819691997b40dcf670e0cc2d03e25977b6f4dd7d12",
        id="T1-list",
    ),
    pytest.param(
        "PUT",
        f"{BASE}/taskgroups/{GROUP}/start",
        headers_to_sign(HOST, Content_Type=UPPER),
        START,
        "09f895f02402e00ef2a3ddc5f1dd72e5a7d2782c72096b5b2ac84c65379d94f4",
        "480d3180096e59ea3be46afa4cfbb046eff92ca5cece6fb65b6e995c76baab0f",
        id="T2-start",
    ),
    pytest.param(
        "PUT",
        f"{BASE}/taskgroups/{GROUP}/start",
        headers_to_sign(HOST, Content_Type=LOWER),
        START,
        "2eda8eaa05205cade1a81256d560c169a2178c996bf581eac23a96db1379f053",
        "d56669a7cb5fab062f353dc36398e691ad6786a2f15de0fa0317f7de67e55661",
        id="T2-start-lower-case",
    ),
    pytest.param(
        "PUT",
        f"https://oms.cn-north-4.myhuaweicloud.com/v2/{PROJECT}/taskgroups/{GROUP}/start",
        headers_to_sign(
            "oms.cn-north-4.myhuaweicloud.com", Content_Type=UPPER, X_Security_Token="TESTSTSTOKEN/abc+def=="
        ),
        CDN,
        "011f259bd7f2acf09e89988d0fec249f6add002a461304739f48fe7894471b4d",
        "302083dd7a2cdf11afed33ab6291c35f7eced2640aecc9c32b1d89e829d4dc92",
        id="T3-temporary-key-and-unicode",
    ),
    pytest.param(
        "GET",
        f"{BASE}/tasks?task_name=a%20b%2Bc%2Fd~e%3Df%26%E4%B8%AD&limit=10&group_id={GROUP}",
        headers_to_sign(HOST),
        b"",
        "da5403a2731898259cd65305b9ea0218a9467e3cf4b18ae92c72ec386ef65bb9",
        "eab94abd6e96016fb4ee161848d95566c27a654c040a7a250d8b0e89d7888540",
        id="T4-query",
    ),
    pytest.param(
        "PUT",
        f"{BASE}/taskgroups/{GROUP}/stop",
        headers_to_sign(HOST, Content_Type="application/json"),
        b"",
        "02b781f32ca43d3346a56b5c6f618a99a462a6359931d1c9cd04c559e7cb87c3",
        "576a9bea9a322be6a32deea85d3621de9e28539702ab932144c285e9d3b2426a",
        id="T5-stop",
    ),
]


@pytest.mark.parametrize(("method", "url", "headers", "body", "digest", "expected"), VECTORS)
def test_a_request_is_signed_as_in_the_test_vectors(
    method: str, url: str, headers: dict[str, str], body: bytes, digest: str, expected: str
) -> None:
    canonical = canonical_request(method, url, headers, body)
    assert hashlib.sha256(canonical.encode()).hexdigest() == digest
    assert signature(canonical, DATE, SK) == expected


def test_the_bytes_and_headers_that_are_signed_are_sent() -> None:
    now = datetime(2026, 1, 15, 8, 30, tzinfo=UTC)
    auth = AccessKeyAuth(AccessKey(Secret(AK), Secret(SK)), PROJECT, lambda: now)
    url = f"{BASE}/taskgroups/{GROUP}/start"
    prepared = requests.Request("PUT", url, data=START, headers={"Content-Type": UPPER}, auth=auth).prepare()
    assert prepared.headers["Authorization"] == (
        f"SDK-HMAC-SHA256 Access={AK}, SignedHeaders=content-type;host;x-project-id;x-sdk-date, "
        "Signature=480d3180096e59ea3be46afa4cfbb046eff92ca5cece6fb65b6e995c76baab0f"
    )
    assert prepared.body == START
    assert AK not in repr(auth)


def test_the_time_of_a_signature_is_in_utc_and_only_bytes_are_signed() -> None:
    in_shanghai = datetime(2026, 1, 15, 16, 30, tzinfo=timezone(timedelta(hours=8)))
    auth = AccessKeyAuth(AccessKey(Secret(AK), Secret(SK)), PROJECT, lambda: in_shanghai)
    assert requests.Request("GET", BASE, auth=auth).prepare().headers["X-Sdk-Date"] == DATE
    with pytest.raises(TypeError, match="only bytes"):
        requests.Request("PUT", BASE, data="text", auth=auth).prepare()


_TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), max_size=12)
_SEGMENT = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="/%"), max_size=12)


@given(
    method=st.sampled_from(["GET", "PUT", "POST", "DELETE"]),
    segments=st.lists(_SEGMENT.filter(lambda segment: segment not in (".", "..")), min_size=1, max_size=5),
    query=st.lists(st.tuples(_TEXT.filter(bool), _TEXT), max_size=4, unique_by=lambda pair: pair[0]),
    body=_TEXT,
)
def test_any_request_is_signed_as_the_official_sdk_signs_it(
    method: str, segments: list[str], query: list[tuple[str, str]], body: str
) -> None:
    path = "/" + "/".join(quote(segment, safe="-_.~") for segment in segments)
    headers = headers_to_sign(HOST, Content_Type="application/json")
    sdk = Signer(BasicCredentials(AK, SK, PROJECT))
    signed_by_sdk = sdk.sign(
        SdkRequest(
            method=method,
            schema="https",
            host=HOST,
            resource_path=path,
            query_params=list(query),
            header_params=dict(headers),
            body=body,
        )
    )
    url = f"https://{HOST}{path}" + "".join(
        ("?" if index == 0 else "&") + f"{quote(key, safe='-_.~')}={quote(value, safe='-_.~')}"
        for index, (key, value) in enumerate(query)
    )
    hex_digest = signature(canonical_request(method, url, headers, body.encode()), DATE, SK)
    assert signed_by_sdk.header_params["Authorization"].endswith(f"Signature={hex_digest}")
