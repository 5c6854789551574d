"""Keeps secrets out of logs, messages, rows and errors.

`Secret` contains one value and hides it from printing and serializing. `FileSecret` has read it from a file, and can
read it again. `scrub` removes secrets from text that comes from elsewhere, such as error messages of a server.
"""

from __future__ import annotations

import hmac
import html
import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import quote

from pydantic import GetCoreSchemaHandler
from pydantic_core import core_schema

MASK = "[hidden]"
# Shorter secrets are not searched for: they occur in ordinary words.
_MIN_SECRET_CHARACTERS = 4
_LONG_WORD = re.compile(r"[A-Za-z0-9+/_\-]{16,}")

# The names before a key in a text. The API gateway echoes the access key in messages of APIG.0301: "Get secretKey
# failed,ak:HST3…,err:ak not exist". Other services echo a field of the request, or use the names of another cloud:
# "dst_sk":"…", srcAk=…, <AWSAccessKeyId>…, InvalidAccessKeyId: …. The short names `ak` and `sk` match as whole words,
# after an underscore, or in camel case; not inside words such as `task` and `oak`.
_KEY_NAME = (
    r"(?:(?i:(?:access|(?:secret|account|private|authentication|api|app|encryption)(?:[ _-]?access)?)[ _-]?key"
    r"(?:[ _-]?id)?|secret(?:[ _-]?id)?|(?:(?:security|session|auth|access)[ _-]?)?token|credentials?"
    r"|password|passwd|passphrase|(?<![a-z])(?:pwd|pass)|bearer|basic|sig(?:nature)?"
    r"|(?:(?<![a-z])|(?<=src)|(?<=dst))(?:ak(?:[ _-]?id)?|sk))"
    r"|(?<=[a-z0-9])(?:A[Kk](?:Id|ID)?|S[Kk]))(?![A-Za-z])"
)
# The characters between a name and its key: blanks, quotes, colons and brackets, also as JSON, a URL or HTML encodes
# them. Not a `-`, `/` or `_` alone, which joins the words of names such as `my-ak-bucket`.
_BETWEEN = (
    r"(?![+./_~-]+[A-Za-z0-9])(?:\s++|[^A-Za-z0-9\s&%]|%[0-9A-Fa-f]{2}|&(?:quot|[lg]t|amp|#\w{1,4});){1,16}"
    r"(?:(?i:is|was|id|value)\b[\s:='\"]{1,4})?"
)
_NAMED_KEY = re.compile(
    rf"{_KEY_NAME}(?P<between>{_BETWEEN})(?P<value>(?:[A-Za-z0-9+/_~-]|%[0-9A-Fa-f]{{2}}|\\/){{8,}}={{0,2}})"
)
_ASSIGNMENT = re.compile(r"[:=>]|%3[ADEade]|&gt;")
# A word after a name without an assignment, as in "access key authentication failed", is a key only from this length.
_MIN_UNASSIGNED_CHARACTERS = 16
# Ordinary words and error codes, which are not keys: `authentication`, `SignatureDoesNotMatch`, `not-found`, a time.
_WORDS = re.compile(r"(?:(?:[A-Z]?[a-z]+(?:[A-Z][a-z]+)*|[A-Z]{1,19}|\d{1,15})(?:[+/_~-]+|$))+")
_MAX_WORDS_CHARACTERS = 31
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
# The formats of access keys of Huawei Cloud and AWS, of Alibaba Cloud, and of Tencent Cloud.
_ACCESS_KEY = re.compile(
    r"(?<![A-Za-z0-9])(?:(?=[A-Z]*[0-9])(?=[0-9]*[A-Z])[A-Z0-9]{20}|LTAI[A-Za-z0-9]{12,20}|AKID[A-Za-z0-9]{28,36})"
    r"(?![A-Za-z0-9])"
)
# Tokens of Slack and Vault, JSON Web Tokens, Slack's webhook addresses, signatures, basic authentication, PEM files.
_TOKENS = re.compile(
    r"\b(?:xox[a-z]-|xapp-|hvs\.|hvb\.|hvr\.|s\.|b\.)[A-Za-z0-9_\-]{12,}"
    r"|\beyJ[A-Za-z0-9_\-]{8,}(?:\.[A-Za-z0-9_\-]*){0,2}"
    r"|(?<=hooks\.slack\.com/)[A-Za-z0-9/]+"
    r"|(?i:(?<=Signature=)[0-9a-f]{16,}|(?<=authorization: basic )[a-z0-9+/]{4,}={0,2})"
    r"|-----BEGIN [A-Z ]+-----(?s:.*?)(?:-----END [A-Z ]+-----|$)"
)
# A word that may be a random key. Names of objects, hosts and paths are made of words and numbers, so they change less
# often between capital letters, small letters and digits than random characters, which do at 6 of 10 places.
_LONG_TEXT = re.compile(r"[A-Za-z0-9+/_=\-]{20,}")
_CHARACTER_CLASSES = re.compile(r"[A-Z]+|[a-z]+|[0-9]+")
_RANDOM_CHANGES = 0.4


class Secret:
    """A string that `str`, `repr`, `format`, pickle, copy and JSON do not show. Only `reveal` returns it."""

    __slots__ = ("__value",)

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Returns the value. Call it only where the value leaves the process."""
        return self.__value

    def current(self) -> Secret:
        """The secret as it is now. Only that of a file can change."""
        return self

    def stripped(self, characters: str | None = None) -> Secret:
        """The value without surrounding white space, or without these characters, as with `str.strip`."""
        return Secret(self.__value.strip(characters))

    @property
    def is_one_word(self) -> bool:
        """Whether the value is visible ASCII without blanks, as all access keys and tokens are."""
        return re.fullmatch(r"[\x21-\x7e]+", self.__value) is not None

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self.__value.encode(), other.__value.encode())

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __len__(self) -> int:
        return len(self.__value)

    def __reduce_ex__(self, protocol: Any) -> NoReturn:
        raise TypeError("a Secret is not written down")

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(
            lambda value: value if isinstance(value, cls) else cls(value),
            core_schema.union_schema([core_schema.is_instance_schema(cls), core_schema.str_schema()]),
            serialization=core_schema.plain_serializer_function_ser_schema(lambda value: MASK),
        )


class JsonSecret(Secret):
    """The JSON of a value that is neither text nor a number, such as an object or `true`."""

    __slots__ = ()


class UnreadableSecret(Exception):
    """The file of a secret can't be read, or is empty.

    Arguments:
        variable: the environment variable with the path of the file.
        problem: what is wrong with the file, for people, without the variable.
    """

    def __init__(self, variable: str, problem: str) -> None:
        super().__init__(f"{variable} {problem}")
        self.variable = variable
        self.problem = problem


class FileSecret(Secret):
    """A secret from a file, which another program may replace while the bot runs.

    As a `Secret`, it is what the file contained when this object was made. `current` reads the file again.

    Arguments:
        variable: the environment variable with the path, such as VAULT_TOKEN_FILE.
        path: the path of the file. White space around the secret in it is ignored.

    Raises:
        UnreadableSecret: the file can't be read, or is empty.
    """

    __slots__ = ("_path", "variable")

    def __init__(self, variable: str, path: str) -> None:
        super().__init__(_read_file(variable, path))
        self.variable = variable
        self._path = path

    def current(self) -> FileSecret:
        """The secret that the file contains now.

        Raises:
            UnreadableSecret: the file can't be read, or is empty.
        """
        return FileSecret(self.variable, self._path)


def _read_file(variable: str, path: str) -> str:
    try:
        value = Path(path).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise UnreadableSecret(variable, f"can't be read: {error.strerror}") from None
    except ValueError:
        raise UnreadableSecret(variable, "can't be read: it is not text") from None
    if not value:
        raise UnreadableSecret(variable, "is the path of an empty file")
    return value


def scrub(text: str, secrets: Iterable[Secret] = ()) -> str:
    """Replaces secrets in a text by `MASK`: the given ones as `mask` does, and keys and tokens that are not known.

    These are found by the name before them, by their format, or because they look random.

    Arguments:
        secrets: the secrets that the text may contain.
    """
    text = _mask_named_keys(_ACCESS_KEY.sub(MASK, _TOKENS.sub(MASK, mask(text, secrets))))
    return _LONG_TEXT.sub(lambda word: MASK if _looks_random(word[0]) else word[0], text)


def mask(text: str, secrets: Iterable[Secret]) -> str:
    """Replaces these secrets in a text by `MASK`, also if they are encoded for JSON, URLs or HTML.

    Also replaces every long part of one, because a part of a connection string can be a key.
    """
    values = [secret.reveal() for secret in secrets]
    for encoded in sorted({encoded for value in values for encoded in _encodings(value)}, key=len, reverse=True):
        text = text.replace(encoded, MASK)
    return _LONG_WORD.sub(lambda word: MASK if any(word[0] in value for value in values) else word[0], text)


def visible(text: str) -> str:
    """Removes characters without width, such as soft hyphens, and replaces other invisible ones by blanks.

    The others include NUL and lone surrogates, which databases refuse.
    """
    if text.isprintable():
        return text
    with_width = (character for character in text if unicodedata.category(character) != "Cf")
    return "".join(character if character.isprintable() else " " for character in with_width)


def _mask_named_keys(text: str) -> str:
    """Replaces the keys that follow a name such as `ak` by `MASK`."""
    parts: list[str] = []
    copied_to = position = 0
    while match := _NAMED_KEY.search(text, position):
        # A value that is not a key may itself be the name before a key, so the search continues at its start.
        position = match.start("value")
        if _is_key(match["between"], match["value"]):
            parts += text[copied_to:position], MASK
            copied_to = position = match.end()
    return "".join((*parts, text[copied_to:]))


def _is_key(between: str, value: str) -> bool:
    if _UUID.fullmatch(value) or (len(value) <= _MAX_WORDS_CHARACTERS and _WORDS.fullmatch(value)):
        return False
    is_long = len(value) >= _MIN_UNASSIGNED_CHARACTERS and not re.search(r"[.,;]", between)
    return is_long or _ASSIGNMENT.search(between) is not None


def _looks_random(word: str) -> bool:
    """Whether a word has capital letters, small letters and digits in an order as random keys have."""
    runs = _CHARACTER_CLASSES.findall(word)
    kinds = {run[0].isdigit() + 2 * run[0].isupper() for run in runs}
    return len(kinds) == 3 and len(runs) - 1 >= _RANDOM_CHANGES * sum(map(len, runs))


def _encodings(value: str) -> Iterator[str]:
    """The value and its long words, unencoded and encoded for JSON, URLs and HTML."""
    for piece in (value, *_long_words(value)):
        if len(piece) >= _MIN_SECRET_CHARACTERS:
            in_json, in_url = json.dumps(piece)[1:-1], quote(piece, safe="")
            yield from (piece, in_json, json.dumps(piece, ensure_ascii=False)[1:-1], in_json.replace("/", "\\/"))
            yield from (in_url, re.sub("%..", lambda escape: escape[0].lower(), in_url), html.escape(piece))


def _long_words(value: str) -> Iterator[str]:
    """The long words of a connection string, or of the texts in a JSON file, such as the lines of a private key."""
    try:
        parsed = json.loads(value)
    except (ValueError, RecursionError):
        parsed = value
    texts = parsed.values() if isinstance(parsed, dict) else (parsed,)
    for text in texts:
        yield from _LONG_WORD.findall(text if isinstance(text, str) else value)
