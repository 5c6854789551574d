"""The project follows its own rules: small modules with docstrings, declared dependencies, a pinned image."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "bot").rglob("*.py"))
MAX_LINES = 310
OWN_PACKAGES = {"bot", "tests"}
DISTRIBUTIONS = packages_distributions()
#: Each contains the packages of the one before.
LOCKS = [ROOT / name for name in ("requirements.lock", "requirements-sandbox.lock", "requirements-test.lock")]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_small_and_has_a_docstring(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MAX_LINES
    assert ast.get_docstring(ast.parse(text))
    assert not re.search(r"\b(TODO|FIXME|XXX|NotImplementedError)\b", text)


def test_only_these_modules_reveal_secrets() -> None:
    openers = {str(path.relative_to(ROOT)) for path in MODULES if ".reveal()" in path.read_text(encoding="utf-8")}
    assert openers == {
        "bot/app.py",
        "bot/cli.py",
        "bot/check/database.py",
        "bot/check/exposure.py",
        "bot/config/environment.py",
        "bot/huawei/echo.py",
        "bot/net/proxy.py",
        "bot/huawei/signing.py",
        "bot/huawei/iam.py",
        "bot/huawei/wire.py",
        "bot/redaction.py",
        "bot/slack/client.py",
        "bot/store/state_keys.py",
        "bot/slack/transport.py",
        "bot/vault/login.py",
        "bot/vault/wrapping.py",
        "bot/huawei/credential.py",
        "bot/jobs/send/send.py",
    }


def test_every_dependency_says_what_it_is_for() -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.findall(r'^    "[a-z][^"]*",?(.*)$', text.split("[project.scripts]")[0], re.MULTILINE)
    assert listed
    assert all(re.search(r"# \w", line) for line in listed), listed


def test_every_imported_package_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    dependencies = {
        "bot": set(project["dependencies"]),
        "bot/sandbox": {*project["dependencies"], *extras["sandbox"]},
        "tests": {*project["dependencies"], *extras["sandbox"], *extras["test"]},
    }
    # The dependencies of the sandbox are not in the image, so bot/ may not import them elsewhere.
    sandbox = ROOT / "bot/sandbox"
    for folder, declared in dependencies.items():
        names = {re.split(r"[^a-z0-9-]", one.lower())[0] for one in declared}
        files = [path for path in (ROOT / folder).rglob("*.py") if folder != "bot" or sandbox not in path.parents]
        modules = {module for path in files for module in imported(path)} - set(sys.stdlib_module_names) - OWN_PACKAGES
        missing = {module for module in modules if not names & distributions(module)}
        assert not missing, folder


def imported(path: Path) -> set[str]:
    """The top-level packages that a file imports, at any place in it."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    named = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    named += [node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level]
    return {name.partition(".")[0] for name in named}


def distributions(module: str) -> set[str]:
    """The packages that a module may come from, spelled as in pyproject.toml."""
    return {name.lower().replace("_", "-") for name in DISTRIBUTIONS.get(module, ())}


@pytest.mark.parametrize("path", LOCKS, ids=lambda path: path.name)
def test_a_lock_has_the_hashes_of_every_package_and_names_no_index(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert not re.search(r"://|--index|--find", text)
    entries = re.findall(r"^[^#\s].*(?:\n .*)*", text, re.MULTILINE)
    assert entries
    assert all(re.match(r"[a-z0-9-]+==\S+( ; .+)? \\\n    --hash=sha256:[0-9a-f]{64}", entry) for entry in entries)


def test_the_locks_of_the_image_and_the_sandbox_have_the_versions_that_are_tested() -> None:
    image, sandbox, tested = (
        set(re.findall(r"^([a-z0-9-]+==\S+)", path.read_text(encoding="utf-8"), re.MULTILINE)) for path in LOCKS
    )
    assert image < sandbox < tested


def test_the_locks_have_every_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    declared = (project["dependencies"], extras["sandbox"], extras["test"])
    for path, dependencies in zip(LOCKS, declared, strict=True):
        locked = set(re.findall(r"^([a-z0-9-]+)==", path.read_text(encoding="utf-8"), re.MULTILINE))
        names = {re.split(r"[^a-z0-9-]", one.lower())[0] for one in dependencies} - {"taskgroup-bot"}
        assert names <= locked, "run .ci/lock"


def test_every_requirement_names_existing_tests_or_the_reason_why_it_is_not_met() -> None:
    table = (ROOT / "tests/README.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| (\d+) \| ([^|]+) \| ([^|]+) \|$", table, re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 26))
    for number, _, shown in rows:
        named = re.findall(r"`([\w/]+\.py)::(\w+)`", shown)
        assert named or "Not met: " in shown, number
        for path, name in named:
            module = ast.parse((ROOT / "tests" / path).read_text(encoding="utf-8"))
            functions = {item.name for item in module.body if isinstance(item, ast.FunctionDef)}
            assigned = {
                target.id
                for item in module.body
                if isinstance(item, ast.Assign)
                for target in item.targets
                if isinstance(target, ast.Name)
            }
            assert name in functions | assigned, f"{path}::{name}"


def test_the_image_that_runs_has_no_installer() -> None:
    last = (ROOT / "Dockerfile").read_text(encoding="utf-8").split("\nFROM ")[-1]
    removed = re.search(r"rm -rf (.*)", last)
    assert removed
    assert {"/usr/local/bin/pip*", "/usr/local/lib/python3.11/ensurepip"} <= set(removed[1].split())


def test_the_image_is_built_from_files_with_known_hashes_only() -> None:
    lines = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ").splitlines()
    steps = [step for line in lines if line.startswith("RUN") for step in line.split("&&")]
    locked, own = [step for step in steps if " install " in step]
    assert "--require-hashes --no-deps -r requirements.lock" in locked
    assert "--no-index --no-build-isolation --no-deps ." in own, "the build downloads nothing"
    assert any("uninstall --yes setuptools" in step for step in steps)
    assert re.search(r"^setuptools==", LOCKS[0].read_text(encoding="utf-8"), re.MULTILINE)


def test_the_base_image_can_be_pinned_by_its_digest() -> None:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert re.findall(r"^(?:ARG|FROM) .*", text, re.MULTILINE) == [
        "ARG BASE=python:3.11-slim-bookworm",
        "FROM $BASE AS build",
        "FROM $BASE",
    ]


def test_the_instructions_install_files_with_known_hashes_only() -> None:
    for name in ("README.md", ".github/CONTRIBUTING.md", "tests/run"):
        text = (ROOT / name).read_text(encoding="utf-8")
        installs = re.findall(r"pip --python \S+ install ([^&\n]+)", text)
        assert installs, name
        for arguments in installs:
            assert re.fullmatch(
                r"-q (--require-hashes --no-deps -r requirements(-\w+)?\.lock|--no-deps --no-build-isolation -e \.)",
                arguments.strip(),
            ), name


def test_known_vulnerabilities_are_skipped_aloud_where_no_index_can_be_reached() -> None:
    unreachable = {"PIP_INDEX_URL": "http://127.0.0.1:1/", "PIP_RETRIES": "0", "PIP_NO_CACHE_DIR": "1"}
    environment = {"PATH": os.environ["PATH"], "PIP_CONFIG_FILE": os.devnull, **unreachable}
    result = subprocess.run([ROOT / ".ci/audit"], env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("skipped: known vulnerabilities, because pip-audit can't be installed: ")
