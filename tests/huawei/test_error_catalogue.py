"""The catalogue of error codes: every code is explained completely, and unknown codes by their HTTP status."""

from __future__ import annotations

import pytest

from bot.huawei.error_catalogue import CATALOGUE, meaning_of


@pytest.mark.parametrize("code", sorted(CATALOGUE))
def test_every_code_has_a_sentence_a_side_and_a_remedy(code: str) -> None:
    meaning = meaning_of(code, 400)
    assert meaning.sentence.endswith(".")
    assert meaning.remedy.endswith((".", "?"))
    paths = {"caller": "secret/c", "source": "secret/s", "destination": "secret/d"}
    assert "{" not in meaning.remedy.format(**paths)


def test_codes_that_the_documentation_explains_together_have_the_same_sentence() -> None:
    assert len({meaning_of(f"TRF.00{number}", 200).sentence for number in (12, 13, 14, 16, 17, 18, 19)}) == 1


def test_an_unknown_code_is_explained_by_the_http_status() -> None:
    for status, words in (
        (404, "does not find"),
        (401, "identity"),
        (403, "forbids"),
        (500, "failed inside"),
        (418, "refused"),
    ):
        assert words in meaning_of("OMS.9999", status).sentence
