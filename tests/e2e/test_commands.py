"""The commands of the command line, on the real parts; and that the story tells on itself."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

from bot.sandbox.slack import world as w
from bot.sandbox.town import Town
from tests.support.story import ask, is_told


def run(town: Town, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bot", *arguments],
        env=town.environment(),
        cwd=town.directory,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_check_finds_everything_well(new_town: Callable[..., Town]) -> None:
    for two_identities in (False, True):
        town = new_town(two_identities=two_identities)
        found = run(town, "check")
        assert found.returncode == 0, found.stdout + found.stderr
        assert "FAIL" not in found.stdout
        for words in ("Slack scopes", "Socket Mode", "user group", "may write there", "Vault", "OMS"):
            assert words in found.stdout
        assert town.workspace.messages == []


def test_check_names_each_thing_that_is_wrong_and_its_fix(new_town: Callable[..., Town]) -> None:
    town = new_town()
    town.workspace.channels[w.MIGRATIONS].members.discard(w.BOT_USER_ID)
    town.workspace.scopes = frozenset({"commands", "chat:write", "users:read"})
    town.vault.write("oms/media/source", {"ak": "x"})
    town.vault.write("oms/media/caller", {"ak": "WRONGCALLERAK0000001", "sk": "x"})
    found = run(town, "check")
    assert found.returncode == 1
    lines = [line for line in found.stdout.splitlines() if line.startswith("FAIL")]
    for words in ("usergroups:read", "/invite", "write sk there", "APIG.0301"):
        assert any(words in line for line in lines), (words, lines)
    assert "WRONGCALLERAK0000001" not in found.stdout
    assert all("Fix: " in line for line in lines)


def test_audit_verify_tells_whole_from_broken(town: Town) -> None:
    ask(town)
    is_told(town, w.ALICE, "Asked.")
    town.stop_bot()
    assert run(town, "audit", "verify").returncode == 0
    assert run(town, "audit", "verify", "--head", "0" * 63 + "1").returncode == 1
    assert '"event": "asked"' in run(town, "audit", "export").stdout


def test_a_second_bot_on_the_same_file_does_not_start(town: Town) -> None:
    found = run(town, "serve")
    assert found.returncode == 1
    assert "another process serves from" in found.stderr
    assert "Traceback" not in found.stderr


def test_list_and_status_answer_only_who_typed(town: Town) -> None:
    card = ask(town)
    town.people.type(w.BOB, "list")
    told = is_told(town, w.BOB, "Open requests")
    assert "nightly images" in told
    assert "invoices" in told
    request_id = next(word for word in card.text.split() if word.startswith("R-")).rstrip(".")
    town.people.type(w.BOB, f"status {request_id}")
    is_told(town, w.BOB, f"{request_id}: Resume migration")
    town.people.type(w.ERIN, f"status {request_id}")
    is_told(town, w.ERIN, "no such request that you may see")
    town.people.type(w.ERIN, "list")
    is_told(town, w.ERIN, "no project here that you may see")
    town.people.type(w.BOB, "help")
    is_told(town, w.BOB, "asks for approval")
    assert len(town.workspace.of(w.MIGRATIONS)) == 1


def test_readiness_tells_what_is_missing(town: Town) -> None:
    import requests

    base = f"http://127.0.0.1:{town.ops_port}"
    assert requests.get(f"{base}/livez", timeout=5).text == "ok\n"
    metrics = requests.get(f"{base}/metrics", timeout=5).text
    assert "taskgroup_bot_slack_connected 1.0" in metrics
    assert requests.get(f"{base}/nothing", timeout=5).status_code == 404


def test_the_story_plays_and_fails_when_a_part_does_not_happen(new_town: Callable[..., Town]) -> None:
    from bot.sandbox.oms_world import NIGHTLY_IMAGES
    from bot.sandbox.play import play

    town = new_town()
    town.world.groups[NIGHTLY_IMAGES].bytes_per_second = 1_000_000_000
    town.start_bot()
    assert play(town) == 0
    forbidden = new_town()
    forbidden.world.may_start = False
    forbidden.start_bot()
    assert play(forbidden) == 1
