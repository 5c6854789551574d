"""The catalogue of error codes: every code is explained completely, and unknown codes by their HTTP status."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bot.huawei.error_catalogue import CATALOGUE, meaning_of
from bot.huawei.errors import Answer
from bot.jobs.problems import RetryHint, explain_answer
from tests.support.values import request


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_code_has_a_sentence_a_side_and_a_remedy(code: str) -> None:
    meaning = meaning_of(code, 400)
    assert meaning.sentence.endswith(".")
    assert meaning.remedy.endswith(".")
    paths = {"caller": "secret/c", "source": "secret/s", "destination": "secret/d", "retry": ""}
    assert "{" not in meaning.remedy.format(**paths)


def test_codes_that_the_documentation_explains_together_have_the_same_sentence() -> None:
    assert len({meaning_of(f"TRF.00{number}", 200).sentence for number in (12, 13, 14, 16, 17, 18, 19)}) == 1


def test_an_unknown_code_is_explained_by_the_http_status() -> None:
    for status, words in (
        (404, "can't find"),
        (401, "credentials"),
        (403, "doesn't allow"),
        (500, "internal error"),
        (418, "rejected"),
    ):
        assert words in meaning_of("OMS.9999", status).sentence


def test_a_ticket_is_suggested_after_the_retry() -> None:
    answer = Answer(500, "OMS.1001", "", "", None)
    problem = explain_answer(answer, request().plan, RetryHint.RETRY, "")
    assert problem.next_step == (
        "Wait a few minutes. Then press Retry. If the error persists, open a ticket with Huawei Cloud and quote the "
        "Huawei request id."
    )


def test_a_group_without_a_source_key_is_not_sent_to_vault_for_one() -> None:
    plan = replace(request().plan, source_path=None)
    problem = explain_answer(Answer(400, "OMS.1014", "", "", None), plan, RetryHint.RETRY, "")
    assert problem.next_step == "Check the source URLs. This group needs no source key. Then press Retry."
