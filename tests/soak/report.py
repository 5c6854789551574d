"""What a soak injected, measured and found."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from tests.soak.plan import Window

#: What the bot promises: after a repair, every card is true within this time.
TRUE_WITHIN_SECONDS = 60.0


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
        limit = f"limit {TRUE_WITHIN_SECONDS:.0f} s, and 1.6 s for each card behind"
        lines += [f"longest time to true cards: {self.longest_repair:.1f} s ({limit})"]
        lines += ["", f"violations: {len(self.violations)}", *(f"  {one}" for one in self.violations)]
        return "\n".join(lines)
