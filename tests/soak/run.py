"""Runs a soak: requests of all kinds through two replicas on PostgreSQL, while proxies break one service after another.

Every window breaks something, repairs it, and waits until every card is true again. `tests.bench.soak` and
`test_soak.py` run it.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from sqlalchemy.engine import make_url

from bot.sandbox.huawei.credentials import ARCHIVE, CALLERS, SOURCE_AK
from bot.sandbox.ports import free_port
from bot.sandbox.system import Sandbox
from bot.sandbox.vault import caller_path
from tests.e2e.test_story import SECRETS
from tests.soak.plan import DATABASE, Break, Outage, Window, new_plan
from tests.soak.stories import KINDS, REFUSAL_LOST, WRONG_SK, Kind, Story, Tally, Violation, World
from tests.soak.truth import Truth
from tests.store.test_connections import make_read_only, make_writable
from tests.support.chaos import ANSWERS, Chaos, ChaosProxy, Fault
from tests.support.postgres import Postgres
from tests.support.sandbox import everything_shown, everything_stored

#: What the bot promises: after a repair, every card is true within this time.
TRUE_WITHIN_SECONDS = 60.0
# And a silent connection to Slack is replaced within this time.
CONNECTED_WITHIN_SECONDS = 60.0
# How long the soak waits for it, to know how long it takes.
_WATCH_SECONDS = 150.0
# Until a story has ended after the last window. A scheduled one waits up to 85 s, a lost PUT 60 s.
_STORIES_END_SECONDS = 420.0
# An answer of the bot may ask for another try only while a fault lasts for longer than this.
_ANSWER_SECONDS = 10.0
# The bot reads VAULT_SECRET_ID_FILE at its start only, so the secret id is not rotated yet, only the tokens.
ROTATES_SECRET_ID = False


@dataclass(frozen=True)
class Repaired:
    """A window, and how long it took after its repair.

    Arguments:
        true_after: until every card was true.
        connected_after: until no replica waited at a connection to Slack that the network had forgotten.
    """

    window: Window
    true_after: float
    connected_after: float

    def __str__(self) -> str:
        waited = self.connected_after > self.true_after + 1
        connected = f", Slack connected after {self.connected_after:.1f} s" if waited else ""
        return f"{self.window}: true after {self.true_after:.1f} s{connected}"


@dataclass
class Report:
    """What a soak injected, measured and found."""

    seed: int
    repairs: list[Repaired] = field(default_factory=list)
    injected: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    requests: int = 0
    puts: int = 0
    attempts: int = 0
    seconds: float = 0.0
    load: float = 0.0

    @property
    def longest_repair(self) -> float:
        """The longest time from a repair to the last card that became true."""
        return max((one.true_after for one in self.repairs), default=0.0)

    def __str__(self) -> str:
        lines = [f"soak with seed {self.seed}: {self.requests} requests in {self.seconds:.0f} s, load {self.load:.1f}"]
        lines += ["", "faults, and the time from the repair to true cards", *(f"  {one}" for one in self.repairs)]
        lines += ["", "connections and requests that met a fault"]
        lines += [f"  {name}: {number}" for name, number in sorted(self.injected.items())]
        lines += ["", "what people did"]
        lines += [f"  {name}: {number}" for name, number in sorted(self.counts.items())]
        lines += ["", "ends"]
        lines += [f"  {name}: {number}" for name, number in sorted(self.ends.items())]
        lines += ["", f"PUTs that reached OMS: {self.puts}, attempts: {self.attempts}"]
        lines += [f"longest time to true cards: {self.longest_repair:.1f} s (limit {TRUE_WITHIN_SECONDS:.0f} s)"]
        lines += ["", f"violations: {len(self.violations)}", *(f"  {one}" for one in self.violations)]
        return "\n".join(lines)


class Soak:
    """One soak. `run` may be called once.

    Arguments:
        seed: decides the faults and the order of the requests.
        seconds: about how long faults are injected. The requests end later.
        requests: how many.
        log: where the log of the bots is written to; None for nowhere.
        progress: takes a line after each window.
    """

    def __init__(
        self,
        seed: int,
        seconds: float,
        requests: int = 60,
        log: str | None = None,
        progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._log = log
        self._progress = progress
        self._plan = new_plan(seed, seconds)
        self._random = Random(seed)
        self._requests = requests
        self._report = Report(seed)
        self._tally = Tally()
        self._chaos = Chaos()
        self._proxies: dict[str, ChaosProxy] = {}
        self._broken: tuple[Window, float] | None = None
        self._sandbox: Sandbox
        self._truth: Truth
        self._secret_ids: list[str] = []

    def run(self) -> Report:
        """Runs the requests and the faults, then checks everything that the bot promises."""
        began = time.monotonic()
        with self._system():
            self._run_stories()
            self._check_end()
        self._report.seconds = time.monotonic() - began
        self._report.load = os.getloadavg()[1]
        self._report.counts = self._tally.counts
        self._report.violations = self._tally.violations
        return self._report

    # The system

    @contextmanager
    def _system(self) -> Iterator[None]:
        with ExitStack() as stack:
            stack.callback(self._chaos.stop)
            server = Postgres().start()
            stack.callback(server.stop)
            self._sandbox = Sandbox(database_url=server.new_database(), projects=2)
            stack.callback(self._sandbox.close)
            self._sandbox.open()
            # Slack's own limits are tested elsewhere. Here they would make the end of 60 requests take many minutes.
            self._sandbox.slack.api.enforces_rate_limits = False
            self._sandbox.vault.write(caller_path(ARCHIVE), CALLERS["password"])
            self._start_proxies()
            self._write_settings()
            self._rotate()
            self._sandbox.start_bot()
            self._sandbox.start_bot(free_port())
            self._truth = Truth(self._sandbox)
            stack.callback(self._truth.close)
            yield

    def _start_proxies(self) -> None:
        sandbox = self._sandbox
        ports = {
            "slack": sandbox.slack.server.port,
            "vault": sandbox.vault.server.port,
            "oms of media": sandbox.oms_by_project["media"].server.port,
            "oms of archive": sandbox.oms_by_project["archive"].server.port,
            DATABASE: make_url(sandbox.database_url).port or 0,
        }
        for name, port in ports.items():
            answers = ANSWERS.get(name.split()[0])
            self._proxies[name] = self._chaos.proxy(port, Random(f"{self._report.seed} {name}"), answers)

    def _write_settings(self) -> None:
        sandbox = self._sandbox
        urls = {name: f"http://127.0.0.1:{proxy.port}" for name, proxy in self._proxies.items()}
        database_url = make_url(sandbox.database_url).set(port=self._proxies[DATABASE].port)
        sandbox.slack.address = urls["slack"]
        self._secret_id_path = sandbox.directory / "secret-id"
        sandbox.extra_environment = {
            "VAULT_ADDR": urls["vault"],
            "VAULT_SECRET_ID": "",
            "VAULT_SECRET_ID_FILE": str(self._secret_id_path),
            "DATABASE_URL": database_url.render_as_string(hide_password=False),
        }
        path = sandbox.directory / "bot.toml"
        toml = path.read_text(encoding="utf-8")
        for name, oms in sandbox.oms_by_project.items():
            toml = toml.replace(oms.server.url, urls[f"oms of {name}"])
        wrong = "".join(f'"wrong-{n}" = "oms/media/source/wrong-{n}", ' for n in range(self._requests))
        for n in range(self._requests):
            sandbox.vault.write(f"oms/media/source/wrong-{n}", {"ak": SOURCE_AK, "sk": WRONG_SK})
        toml = toml.replace("source = { ", f"source = {{ {wrong}", 1)
        toml = toml.replace("[projects.archive.vault]", "approvals = 2\n[projects.archive.vault]")
        path.write_text(toml, encoding="utf-8")

    # The requests and the faults

    def _run_stories(self) -> None:
        world = World(self._sandbox, self._truth, self._tally, self._allows_answer)
        kinds = [KINDS[number % len(KINDS)] for number in range(self._requests)]
        self._random.shuffle(kinds)
        stories = [(kind, kind.new_story(world, number)) for number, kind in enumerate(kinds)]
        self._report.requests = len(stories)
        with ThreadPoolExecutor(len(stories), "story") as pool:
            futures = []
            for index, window in enumerate(self._plan):
                share = stories[index * len(stories) // len(self._plan) : (index + 1) * len(stories) // len(self._plan)]
                for kind, story in share:
                    # Some before the fault, some while it lasts.
                    after = self._random.uniform(0, window.seconds + 1)
                    futures.append(pool.submit(self._tell, kind, story, after))
                self._pause(1.0)
                self._break_and_repair(window)
            self._wait_for(futures)
        self._stories = stories

    def _tell(self, kind: Kind, story: Story, after: float) -> None:
        self._pause(after)
        try:
            kind.tell(story)
        except Violation as violation:
            self._tally.violate(str(violation))

    def _wait_for(self, futures: list[Future[None]]) -> None:
        deadline = time.monotonic() + _STORIES_END_SECONDS
        for future in futures:
            try:
                future.result(max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                self._tally.violate("a request has not ended in time")

    def _break_and_repair(self, window: Window) -> None:
        self._broken = window, time.monotonic()
        for one in window.breaks:
            self._break(one)
        self._pause(window.seconds)
        for one in window.breaks:
            self._repair(one)
        self._broken = None
        repaired_at = time.monotonic()
        true_after = self._watch_cards(window)
        self._report.repairs.append(Repaired(window, true_after, self._wait_for_slack(repaired_at)))
        self._progress(str(self._report.repairs[-1]))

    def _wait_for_slack(self, repaired_at: float) -> float:
        """Waits until the bots have noticed every connection to Slack that the network has forgotten.

        Until then, Slack delivers no click, and further faults would meet nothing.
        """
        while self._proxies["slack"].forgotten and time.monotonic() - repaired_at < _WATCH_SECONDS:
            self._pause(0.25)
        seconds = time.monotonic() - repaired_at
        if seconds > CONNECTED_WITHIN_SECONDS and self._proxies["slack"].injected[Fault.IDLE]:
            self._tally.violate(f"{seconds:.0f} s after the repair, a dead connection to Slack was still in use")
        return seconds

    def _break(self, one: Break) -> None:
        match one.kind:
            case Outage.FAILOVER:
                make_read_only(self._sandbox.database_url)
                self._report.injected[f"{DATABASE}: failover"] += 1
            case Outage.ROTATION:
                self._rotate()
                self._report.injected["vault: rotated token"] += 1
            case Fault() as fault:
                for proxy in self._proxies_of(one.service):
                    self._chaos.begin(proxy, fault)

    def _repair(self, one: Break) -> None:
        match one.kind:
            case Outage.FAILOVER:
                make_writable(self._sandbox.database_url)
            case Fault():
                for proxy in self._proxies_of(one.service):
                    self._chaos.end(proxy)

    def _proxies_of(self, service: str) -> list[ChaosProxy]:
        """The proxies of a service. Each project has an OMS."""
        return [proxy for name, proxy in self._proxies.items() if name.split()[0] == service]

    def _rotate(self) -> None:
        """Revokes every token of the bot, and its secret id once a new one is in the file."""
        root = self._sandbox.vault.as_root()
        if ROTATES_SECRET_ID or not self._secret_ids:
            self._secret_ids.append(self._sandbox.vault.login("bot").secret_id)
            self._secret_id_path.write_text(self._secret_ids[-1], encoding="utf-8")
            for old in self._secret_ids[-2:-1]:
                root.auth.approle.destroy_secret_id("bot", old)
        for accessor in root.list("auth/token/accessors")["data"]["keys"]:
            if "approle" in root.auth.token.lookup_accessor(accessor)["data"]["path"]:
                root.auth.token.revoke_accessor(accessor)

    def _allows_answer(self) -> bool:
        broken = self._broken
        return broken is not None and broken[0].seconds > _ANSWER_SECONDS

    # The promises

    def _watch_cards(self, window: Window) -> float:
        """Waits until every card was true once since the repair. Returns how long it took.

        A card that is true once has caught up. It may be behind again for a moment, because the group moves.
        """
        repaired_at, began = datetime.now(UTC), time.monotonic()
        caught_up: set[str] = set()
        late: dict[str, str] = {}
        while True:
            shown = [one for one in self._truth.all_shown() if one.request.created_at < repaired_at]
            false: dict[str, str] = {}
            for one in shown:
                if one.request.id in caught_up:
                    continue
                oms = self._sandbox.oms_by_project[one.request.plan.project].state
                oms.show(one.request.group.group_id)
                why = self._truth.falsehood(one, oms.groups[one.request.group.group_id])
                if why is None:
                    caught_up.add(one.request.id)
                else:
                    false[one.request.id] = why
            false |= {key: f"{kind} is not finished" for key, kind in self._truth.unfinished(repaired_at).items()}
            seconds = time.monotonic() - began
            if not false:
                if seconds > TRUE_WITHIN_SECONDS:
                    self._tally.violate(f"all cards were true {seconds:.0f} s after the repair of {window}: {late}")
                return seconds
            if seconds > TRUE_WITHIN_SECONDS:
                late = late or dict(false)
            if seconds > _WATCH_SECONDS:
                self._tally.violate(f"{seconds:.0f} s after the repair of {window}, cards are not true: {false}")
                return seconds
            self._pause(0.25)

    def _check_end(self) -> None:
        self._watch_cards(Window((), 0.0))
        for kind, story in self._stories:
            self._check_story(kind, story)
        for key in self._tally.refused_keys:
            if not self._truth.discarded_or_absent(key):
                self._tally.violate(f"a person was told that nothing changed, and then it counted: {key}")
        self._tally.counts["cards posted twice, because Slack's answer was lost"] = len(self._truth.duplicates())
        unsent = self._truth.unsent_notices()
        if unsent:
            self._tally.violate(f"{len(unsent)} notices were not sent, such as {unsent[0]!r}")
        for name, proxy in self._proxies.items():
            self._report.injected.update({f"{name}: {fault}": number for fault, number in proxy.injected.items()})
        self._check_bots()

    def _check_story(self, kind: Kind, story: Story) -> None:
        """No attempt has a second PUT, by the proxy's count and by that of OMS."""
        request = self._truth.request(story.group.id)
        if request is None:
            return
        attempts = request.attempt.number if request.attempt else 0
        puts = sum(
            number
            for proxy in self._proxies.values()
            for line, number in proxy.forwarded.items()
            if line.startswith("PUT ") and story.group.id in line and not line.endswith("/stop")
        )
        accepted = story.group.starts + story.group.retries
        self._report.puts += puts
        self._report.attempts += attempts
        self._report.ends[f"{kind.tell.__name__}: {request.state}"] += 1
        if puts > attempts:
            self._tally.violate(f"{story}: {puts} PUTs for {attempts} attempts")
        if accepted != min(kind.puts, 1):
            self._tally.violate(f"{story}: OMS started the group {accepted} times")

    def _check_bots(self) -> None:
        sandbox = self._sandbox
        verified = self._audit("verify")
        if verified.returncode != 0 or "Intact:" not in verified.stdout:
            self._tally.violate(f"the audit chain: {verified.stdout}")
        exported = self._audit("export").stdout
        log = sandbox.log()
        if self._log is not None:
            Path(self._log).write_text(log, encoding="utf-8")
        lost = log.count("a reply was not sent") + log.count("a reply was dropped")
        if self._tally.counts[REFUSAL_LOST] > lost:
            self._tally.violate(f"clicks were neither stored nor refused: {self._tally.counts[REFUSAL_LOST] - lost}")
        self._tally.counts["bugs in the log"] = log.count(" bug F-")
        sandbox.stop_bot()
        places = {
            "Slack": everything_shown(sandbox),
            "the database and the log": everything_stored(sandbox),
            "the audit": exported,
        }
        for place, text in places.items():
            for secret in (*SECRETS, WRONG_SK, *self._secret_ids):
                if secret in text:
                    self._tally.violate(f"{place} contains a secret: {secret[:8]}…")
            if "because of a bug" in text or "The bot failed at this request" in text:
                self._tally.violate(f"{place}: a passing fault was told as a bug")

    def _audit(self, command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "bot", "audit", command],
            env=self._sandbox.environment(),
            cwd=self._sandbox.directory,
            capture_output=True,
            text=True,
            check=False,
        )

    @staticmethod
    def _pause(seconds: float) -> None:
        threading.Event().wait(seconds)
