"""What a soak breaks, when, and for how long. The same seed and length give the same plan."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from tests.support.chaos import CONNECTION_FAULTS, Fault

#: The services behind an HTTP proxy. OMS answers for IAM as well.
HTTP_SERVICES = ("slack", "vault", "oms")
DATABASE = "postgresql"
# How long a fault lasts. A person has an answer after 20 s at most, also while a fault lasts, so that only a soak with
# long faults may see answers that ask for another try.
_SHORT_SECONDS, _LONG_SECONDS = (4.0, 8.0), (25.0, 70.0)
_MIN_SECONDS_FOR_LONG = 300
_LONG_SHARE, _SECOND_FAULT_SHARE = 0.1, 0.6
# Without a database, the bot calls nothing else, so that a second fault would meet little.
_SECOND_WITH_DATABASE_SHARE = 0.2
# About how long the cards take after a repair, to count towards the length of the soak.
_REPAIR_SECONDS = 2.0


class Outage(StrEnum):
    """A fault of a service itself, not of the connections to it."""

    #: The database becomes read-only and its sessions end. Later it can be written again, by new sessions only.
    FAILOVER = "failover"
    #: Vault revokes the tokens and the secret id of the bot, after a new secret id was written to its file.
    ROTATION = "rotated token"


@dataclass(frozen=True)
class Break:
    service: str
    kind: Fault | Outage

    def __str__(self) -> str:
        return f"{self.kind} of {self.service}"


@dataclass(frozen=True)
class Window:
    """Faults that begin at the same time and last for the same time."""

    breaks: tuple[Break, ...]
    seconds: float

    def __str__(self) -> str:
        return f"{self.seconds:4.1f} s  {' and '.join(str(one) for one in self.breaks)}"


def new_plan(seed: int, seconds: float) -> list[Window]:
    """The windows of a soak of about this length. Every kind of fault comes once before any comes again."""
    random = Random(seed)
    breaks = _breaks(random)
    plan: list[Window] = []
    left = seconds
    while left > 0:
        is_long = seconds >= _MIN_SECONDS_FOR_LONG and random.random() < _LONG_SHARE
        lasting = round(random.uniform(*(_LONG_SECONDS if is_long else _SHORT_SECONDS)), 1)
        found = [next(breaks)]
        share = _SECOND_WITH_DATABASE_SHARE if found[0].service == DATABASE else _SECOND_FAULT_SHARE
        if random.random() < share:
            second = next(breaks)
            found += [second] if second.service != found[0].service else []
        plan.append(Window(tuple(found), lasting))
        left -= lasting + _REPAIR_SECONDS
    return plan


def _breaks(random: Random) -> Iterator[Break]:
    """Endless breaks. Each fault meets one of the services that it has met least often."""
    met: Counter[str] = Counter()
    while True:
        kinds: list[Fault | Outage] = [*Fault, *Outage]
        random.shuffle(kinds)
        for kind in kinds:
            services = _services(kind)
            least = min(met[service] for service in services)
            service = random.choice([one for one in services if met[one] == least])
            met[service] += 1
            yield Break(service, kind)


def _services(kind: Fault | Outage) -> tuple[str, ...]:
    match kind:
        case Outage.FAILOVER:
            return (DATABASE,)
        case Outage.ROTATION:
            return ("vault",)
        case kind if kind in CONNECTION_FAULTS:
            return (*HTTP_SERVICES, DATABASE)
        case _:
            return HTTP_SERVICES
