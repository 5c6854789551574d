"""The facts in the documentation agree with the code: settings, states, tables, policies, errors, links, commands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from pydantic import BaseModel

from bot.config.bot_toml import BotToml, Project, ProjectVault
from bot.config.network_table import NetworkTable
from bot.domain.audit_events import AuditEvent
from bot.domain.request import State
from bot.huawei import errors
from bot.huawei.errors import HuaweiError
from bot.store import tables

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    path
    for path in (*ROOT.glob("*.md"), *ROOT.glob("bot/**/*.md"), *ROOT.glob("tests/*.md"), *ROOT.glob(".github/*.md"))
    if ".venv" not in path.parts
)


def page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def first_cells(text: str) -> list[str]:
    """The names in backticks in the first column of every table of a page."""
    cells = re.findall(r"^\| ([^|]+) \|", text, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_the_settings_page_lists_every_environment_variable() -> None:
    sources = [ROOT / f"bot/config/{name}.py" for name in ("environment", "settings")]
    text = "".join(path.read_text(encoding="utf-8") for path in sources)
    names = set(re.findall(r'"([A-Z]+_[A-Z0-9_]+|PORT)"', text))
    assert {"SLACK_API_URL", "PORT", "BOT_CONFIG"} <= names
    assert names <= set(first_cells(page("bot/config/README.md")))


def test_the_settings_page_lists_every_metric() -> None:
    names = re.findall(r'"(taskgroup_bot_\w+)"', (ROOT / "bot/metrics.py").read_text(encoding="utf-8"))
    assert len(names) == 8
    assert set(names) <= set(first_cells(page("bot/config/README.md")))


@pytest.mark.parametrize("table", [BotToml, NetworkTable, Project, ProjectVault])
def test_the_settings_page_lists_every_key_with_its_default(table: type[BaseModel]) -> None:
    text = page("bot/config/README.md")
    for name, field in table.model_fields.items():
        if name in ("projects", "network", "vault"):
            continue
        row = re.search(rf"^\| `{name}` \| ([^|]*) \|", text, re.MULTILINE)
        assert row, name
        if field.is_required():
            assert row[1] == "required", name
        elif field.default is not None:
            shown = row[1].strip("`")
            value = shown if isinstance(field.default, str) else tomllib.loads(f"value = {shown}")["value"]
            is_list = isinstance(field.default, tuple | frozenset)
            assert (type(field.default)(value) if is_list else value) == field.default, name


def test_the_layout_page_explains_every_state_in_its_order() -> None:
    section = page("bot/README.md").split("## The state machine")[1].split("## Terms")[0]
    assert first_cells(section) == [state.value for state in State]


def test_the_layout_page_names_folders_that_exist() -> None:
    section = page("bot/README.md").split("## Folders")[1].split("## The state machine")[0]
    folders = [name for name in first_cells(section) if name.endswith("/")]
    assert {"listeners/", "jobs/", "domain/"} <= set(folders)
    assert all((ROOT / "bot" / folder).is_dir() for folder in folders)
    packages = {f"{path.parent.name}/" for path in (ROOT / "bot").glob("*/__init__.py")}
    assert packages - {"check/"} == set(folders)


def test_the_database_page_lists_every_table() -> None:
    section = page("bot/store/README.md").split("## Two databases")[0]
    assert set(first_cells(section)) == set(tables.metadata.tables)


def test_the_database_page_lists_every_audit_event() -> None:
    table = page("bot/store/README.md").split("## Audit events")[1]
    rows = re.findall(r"^\| `([^`]+)` \| ([^|]+) \|$", table, re.MULTILINE)
    assert rows == [(event.value, event.description) for event in AuditEvent]


def test_the_vault_page_shows_the_policies_that_the_tests_run_with() -> None:
    text = page("bot/vault/README.md")
    for policy in (ROOT / "bot/sandbox").rglob("*.hcl"):
        rules = re.sub(r"#.*\n|\n(?=\n)", "", policy.read_text(encoding="utf-8")).strip()
        assert rules in text, policy.name


def test_the_huawei_page_lists_every_kind_of_error() -> None:
    kinds = {name for name, kind in vars(errors).items() if isinstance(kind, type) and HuaweiError in kind.__bases__}
    assert set(re.findall(r"^\| `(\w+)` \|", page("bot/huawei/README.md").split("## Errors")[1], re.MULTILINE)) == kinds


@pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_link_leads_to_an_existing_file_and_heading(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)]+)\)", text):
        if not target.startswith(("http://", "https://")):
            name, _, anchor = target.partition("#")
            there = path.parent / name if name else path
            assert there.exists(), target
            if anchor:
                headings = re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE)
                anchors = {re.sub(r"[^a-z0-9 -]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in anchors, target


def test_every_script_and_module_in_the_instructions_exists() -> None:
    text = "\n".join(path.read_text(encoding="utf-8") for path in PAGES)
    for script in set(re.findall(r"^(tests/\w+)\b", text, re.MULTILINE)):
        assert (ROOT / script).exists(), script
    for module in set(re.findall(r"python -m (tests(?:\.\w+)+)", text)):
        assert (ROOT / module.replace(".", "/")).with_suffix(".py").exists(), module
