"""The sentences in the source code of modules that the gallery does not call, as templates."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
#: The modules with sentences about errors of Vault, Huawei Cloud and the proxy.
ERRORS = ("bot/vault/*.py", "bot/huawei/[!e]*.py", "bot/net/proxy.py")
#: The modules with sentences in the terminal and in the log.
TERMINAL = (
    "bot/slack/*.py",
    "bot/domain/*outcome.py",
    "bot/domain/command.py",
    "bot/store/[adf]*.py",
    "bot/app.py",
    "bot/check/*.py",
    "bot/config/*.py",
    "bot/cli.py",
    "bot/report_command.py",
)
_MIN_WORDS = 3
#: Calls whose arguments are for developers or for logs.
_NOT_FOR_PEOPLE = {
    "text",
    "ValueError",
    "RuntimeError",
    "info",
    "warning",
    "error",
    "exception",
    "debug",
    "compile",
    "option",
}


def templates(patterns: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """For each module that has any: its name and its sentences, without repetitions."""
    for path in sorted(found for pattern in patterns for found in ROOT.glob(pattern)):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        sentences = list(dict.fromkeys(_sentences(tree)))
        if sentences:
            yield str(path.relative_to(ROOT)), sentences


def _sentences(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Expr(value=ast.Constant()):
                continue  # A docstring.
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _NOT_FOR_PEOPLE:
                continue
            case ast.Constant(value=str(text)) if _is_sentence(text):
                yield " ".join(text.split())
            case ast.JoinedStr():
                text = "".join(_part(value) for value in child.values)
                if _is_sentence(text.replace("{}", "")):
                    yield " ".join(text.split())
            case _:
                yield from _sentences(child)


def _part(value: ast.expr) -> str:
    """A constant part of an f-string, or the name of its value in braces."""
    if isinstance(value, ast.Constant):
        return str(value.value)
    expression = value.value if isinstance(value, ast.FormattedValue) else value
    return f"{{{ast.unparse(expression)}}}" if isinstance(expression, ast.Name | ast.Attribute) else "{}"


def _is_sentence(text: str) -> bool:
    return len(text.split()) >= _MIN_WORDS
