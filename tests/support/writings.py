"""The writings in which software repeats a key that it was given, and in which a search for leaks has to find it."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable
from urllib.parse import quote, quote_plus

#: A function for each writing. The text that it returns contains enough of the key to guess the rest, or all of it.
WRITINGS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "lower case": str.lower,
    "upper case": str.upper,
    "first 15 characters": lambda key: key[:15],
    "15 characters in the middle": lambda key: key[1:16],
    "first and last 8": lambda key: f"{key[:8]}****{key[-8:]}",
    "blank for +": lambda key: key.replace("+", " "),
    "groups of 4": lambda key: "-".join(re.findall(".{1,4}", key, re.DOTALL)),
    "URL": lambda key: quote(key, safe=""),
    "URL of a form": quote_plus,
    "URL, all characters": lambda key: "".join(f"%{byte:02x}" for byte in key.encode()),
    "HTML, decimal": lambda key: "".join(f"&#{ord(character)};" for character in key),
    "HTML, hexadecimal": lambda key: "".join(f"&#x{ord(character):X};" for character in key),
    "JSON, escaped": lambda key: "".join(f"\\u{ord(character):04x}" for character in key),
    "JSON, escaped twice": lambda key: "".join(f"\\\\u{ord(character):04X}" for character in key),
    "bytes of Python": lambda key: "".join(f"\\x{byte:02x}" for byte in key.encode()),
    "hexadecimal": lambda key: key.encode().hex(),
    "hexadecimal with colons": lambda key: key.encode().hex(":").upper(),
    "hexadecimal, a list": lambda key: str([hex(byte) for byte in key.encode()]),
    "hexadecimal, quoted": lambda key: json.dumps([f"{byte:02x}" for byte in key.encode()]),
    "hexadecimal with dots": lambda key: key.encode().hex("."),
    "hexadecimal with =": lambda key: key.encode().hex("="),
    "quoted-printable": lambda key: "".join(f"={byte:02X}" for byte in key.encode()),
    "octal": lambda key: "".join(f"\\{byte:03o}" for byte in key.encode()),
    "decimal, a list": lambda key: str(list(key.encode())),
    "URL, code points": lambda key: "".join(f"%u{ord(character):04x}" for character in key),
    "Python, 8 digits": lambda key: "".join(f"\\U{ord(character):08x}" for character in key),
    "Unicode code points": lambda key: " ".join(f"U+{ord(character):04X}" for character in key),
    "full-width letters": lambda key: "".join(
        chr(ord(character) + 0xFEE0) if "!" <= character <= "~" else character for character in key
    ),
    "backward": lambda key: key[::-1],
    "base32": lambda key: base64.b32encode(key.encode()).decode(),
    "base64": lambda key: base64.b64encode(key.encode()).decode(),
    "base64 of a body": lambda key: base64.b64encode(f'{{"sk":"{key}"}}'.encode()).decode(),
    "base64 of a URL": lambda key: base64.urlsafe_b64encode(f"a={key}&b=".encode()).decode().rstrip("="),
    "base64 in lines": lambda key: base64.encodebytes(f"{key} {key}".encode()).decode(),
    "base64, quoted pieces": lambda key: json.dumps(re.findall(".{1,7}", base64.b64encode(key.encode()).decode())),
    "base64 with dots": lambda key: ".".join(re.findall(".{1,6}", base64.b64encode(key.encode()).decode())),
    "base64 in a URL": lambda key: quote(base64.b64encode(key.encode()).decode(), safe=""),
    "base64 of base64": lambda key: base64.b64encode(base64.b64encode(key.encode())).decode(),
}
