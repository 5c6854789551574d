"""Runs a soak: requests of all kinds go through two replicas, while one service after another breaks.

Every window breaks something, repairs it, and waits until every card is true again. `tests.bench.soak` and
`test_soak.py` run it.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from bot.domain.slack_budget import EDITS, RATES
from tests.soak.kinds import KINDS, Kind
from tests.soak.plan import Window, new_plan
from tests.soak.report import TRUE_WITHIN_SECONDS, Repaired, Report
from tests.soak.stories import REFUSAL_LOST, WRONG_SK, Story, Tally, Violation, World
from tests.soak.system import System
from tests.soak.truth import Truth
from tests.support.leaks import TOKENS, find_leaks
from tests.support.sandbox import everything_shown, everything_stored

# Within this time after a repair, the bot has replaced a connection to Slack that the network has forgotten.
CONNECTED_WITHIN_SECONDS = 60.0
# How long the soak waits for either, to know how long it takes.
_WATCH_SECONDS = 150.0
# Until a story has ended after the last window. A scheduled one waits up to 85 s, a lost PUT 60 s.
_STORIES_END_SECONDS = 300.0
# An answer of the bot may ask for another try only if a fault lasts for longer than this.
_ANSWER_SECONDS = 10.0
# What people would read if the bot took a fault for a bug.
_BUG_TEXTS = ("because of a bug", "The bot failed at this request")


class Soak:
    """One soak.

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
        self._plan = new_plan(seed, seconds)
        self._random = Random(seed)
        self._requests = requests
        self._log = log
        self._progress = progress
        self._report = Report(seed)
        self._tally = Tally(self._report.counts, self._report.violations)
        self._window = Window((), 0.0)
        self._stories: list[tuple[Kind, Story]] = []

    def run(self) -> Report:
        """Runs the requests and the faults, then checks everything that the bot promises."""
        began = time.monotonic()
        with closing(System(self._report.seed, self._requests)) as self._system:
            self._sandbox = self._system.sandbox
            with closing(Truth(self._sandbox)) as self._truth:
                self._run_stories()
                self._check_end()
        self._report.seconds = time.monotonic() - began
        self._report.load = os.getloadavg()[1]
        return self._report

    # The requests and the faults

    def _run_stories(self) -> None:
        world = World(self._sandbox, self._truth, self._tally, self._allows_answer)
        kinds = [KINDS[number % len(KINDS)] for number in range(self._requests)]
        self._random.shuffle(kinds)
        self._stories = [(kind, kind.new_story(world, number)) for number, kind in enumerate(kinds)]
        self._report.requests = len(kinds)
        with ThreadPoolExecutor(len(kinds), "story") as pool:
            futures = []
            for index, window in enumerate(self._plan):
                first, end = (len(kinds) * at // len(self._plan) for at in (index, index + 1))
                for kind, story in self._stories[first:end]:
                    # Some before the fault, most while it lasts.
                    after = self._random.uniform(0, window.seconds + 1)
                    futures.append(pool.submit(self._tell, kind, story, after))
                self._pause(1.0)
                self._break_and_repair(window)
            self._wait_for(futures, world)

    def _tell(self, kind: Kind, story: Story, after: float) -> None:
        self._pause(after)
        try:
            kind.tell(story)
        except Violation as violation:
            self._tally.violate(str(violation))

    def _wait_for(self, futures: list[Future[None]], world: World) -> None:
        deadline = time.monotonic() + _STORIES_END_SECONDS
        while not all(future.done() for future in futures):
            if time.monotonic() > deadline:
                world.is_over.set()
            self._pause(0.5)
        for future in futures:
            future.result()

    def _break_and_repair(self, window: Window) -> None:
        self._window = window
        for one in window.breaks:
            self._system.break_(one)
        self._pause(window.seconds)
        for one in window.breaks:
            self._system.repair(one)
        repaired_at = time.monotonic()
        true_after = self._watch_cards()
        self._report.repairs.append(Repaired(window, true_after, self._watch_slack(repaired_at)))
        self._progress(str(self._report.repairs[-1]))

    def _allows_answer(self) -> bool:
        return self._window.seconds > _ANSWER_SECONDS

    # The promises

    def _watch_slack(self, repaired_at: float) -> float:
        """Waits until the bots have noticed every connection to Slack that the network has forgotten.

        Until then, Slack delivers no click, and further faults would meet nothing.
        """
        seconds = 0.0
        while self._system.has_dead_connections and seconds < _WATCH_SECONDS:
            self._pause(0.25)
            seconds = time.monotonic() - repaired_at
        if seconds > CONNECTED_WITHIN_SECONDS:
            self._tally.violate(f"{seconds:.0f} s after the repair of {self._window}, a dead socket was still in use")
        return time.monotonic() - repaired_at

    def _watch_cards(self) -> float:
        """Waits until every card was true once since the repair. Returns how long it took.

        A card that is true once has caught up. It may be behind again for a moment, because the group moves. Each card
        that is behind at the repair may take the time of one edit more, because Slack limits them.
        """
        repaired_at, began = datetime.now(UTC), time.monotonic()
        caught_up: set[str] = set()
        late: dict[str, str] = {}
        limit: float | None = None
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
            limit = limit or TRUE_WITHIN_SECONDS + len(false) * RATES[EDITS].every.total_seconds()
            if not false:
                if seconds > limit:
                    self._tally.violate(
                        f"all cards were true {seconds:.0f} s after the repair of {self._window}: {late}"
                    )
                return seconds
            if seconds > limit:
                late = late or dict(false)
            if seconds > _WATCH_SECONDS:
                self._tally.violate(f"{seconds:.0f} s after the repair of {self._window}, cards are not true: {false}")
                return seconds
            self._pause(0.25)

    def _check_end(self) -> None:
        self._watch_cards()
        for kind, story in self._stories:
            self._check_story(kind, story)
        for key in self._tally.refused_keys:
            if not self._truth.discarded_or_absent(key):
                self._tally.violate(f"a person was told that nothing changed, and then it counted: {key}")
        self._tally.counts["cards posted twice, because Slack's answer was lost"] = len(self._truth.duplicates())
        self._report.counts["requests by a command that Slack delivered late"] = (
            len(self._truth.all_shown()) - self._report.requests
        )
        # The bot posts at most one line a second to a channel, so those of the last minutes may still be waiting.
        deadline = time.monotonic() + _WATCH_SECONDS
        while (unsent := self._truth.unsent_notices()) and time.monotonic() < deadline:
            self._pause(0.25)
        if unsent:
            self._tally.violate(f"{len(unsent)} notices were not sent, such as {unsent[0]!r}")
        self._report.injected = self._system.injected
        self._check_bots()

    def _check_story(self, kind: Kind, story: Story) -> None:
        """No attempt has a second PUT, by the count of the proxies and by that of OMS."""
        request = self._truth.request(story.group.id)
        if request is None:
            return
        attempts, puts = request.attempt.number if request.attempt else 0, self._system.puts(story.group.id)
        starts = story.group.starts + story.group.retries
        self._report.puts += puts
        self._report.attempts += attempts
        self._report.ends[f"{kind.tell.__name__}: {request.state}"] += 1
        if puts > attempts:
            self._tally.violate(f"{story}: {puts} PUTs for {attempts} attempts")
        if starts != kind.starts:
            self._tally.violate(f"{story}: OMS started the group {starts} times instead of {kind.starts}")

    def _check_bots(self) -> None:
        verified = self._system.audit("verify")
        if verified.returncode != 0 or "Intact:" not in verified.stdout:
            self._tally.violate(f"the audit chain: {verified.stdout}")
        exported = self._system.audit("export").stdout
        self._sandbox.stop_bot()
        log = self._sandbox.log()
        if self._log is not None:
            Path(self._log).write_text(log, encoding="utf-8")
        lost = self._report.counts[REFUSAL_LOST] - log.count("a reply was not sent") - log.count("a reply was dropped")
        if lost > 0:
            self._tally.violate(f"{lost} clicks were neither stored nor refused")
        if " bug F-" in log:
            self._tally.violate(f"the log has {log.count(' bug F-')} lines about bugs")
        places = everything_stored(self._sandbox) | {"Slack": everything_shown(self._sandbox), "audit": exported}
        for leak in find_leaks(places, tokens=(*TOKENS, WRONG_SK, *self._system.secret_ids)):
            self._tally.violate(f"a secret is in {leak}")
        for place, text in places.items():
            if any(words in text for words in _BUG_TEXTS):
                self._tally.violate(f"{place}: a fault that passed was told as a bug")

    @staticmethod
    def _pause(seconds: float) -> None:
        threading.Event().wait(seconds)
