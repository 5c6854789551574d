"""The job queues: tables whose rows are jobs, claimed by one worker at a time under a lease.

A row is due at its `due_at`. A claim lasts 20 s by the database's clock, and the worker renews it while the job runs.
If the process dies, the lease ends and another process claims the row. What is shown in Slack is claimed as the budget
of calls to Slack allows it, the most urgent first. Running the jobs is left to `bot.jobs`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Select,
    Table,
    Update,
    and_,
    bindparam,
    delete,
    func,
    literal,
    or_,
    select,
    union_all,
    update,
)

from bot.domain.card_urgency import Urgency
from bot.domain.slack_budget import SlackBudget
from bot.store import alerts, outbox, slack_budget, tables
from bot.store.database import cached_statement, clock

LEASE = timedelta(seconds=20)

TABLES: tuple[Table, ...] = tuple(table for table in tables.metadata.sorted_tables if "claimed_by" in table.columns)
_KEYS = {table.name: next(iter(table.primary_key.columns)) for table in TABLES}

_NONE = literal("")
_MOST_URGENT = literal(int(Urgency.BUTTONS))
# The column whose values divide the rows of a table into queues.
_KINDS: Mapping[str, ColumnElement[str]] = {
    tables.inbox.name: tables.inbox.c.kind,
    tables.requests.name: tables.requests.c.state,
}
# The column whose values share a queue fairly.
_FAIRNESS_KEYS: Mapping[str, ColumnElement[str]] = {
    tables.inbox.name: tables.inbox.c.person,
    tables.requests.name: tables.requests.c.project,
}
# The call to Slack of each job, as `SlackBudget` names it.
_SLACK_CALLS: Mapping[str, ColumnElement[str]] = {
    tables.cards.name: outbox.call_for_card(),
    tables.notices.name: outbox.call_for_notice(),
    tables.alerts.name: alerts.call_for_alert(),
}
_URGENCIES: Mapping[str, ColumnElement[int]] = {
    tables.cards.name: outbox.urgency_of_card(),
    tables.alerts.name: literal(int(Urgency.FAILURE)),
}


@dataclass(frozen=True)
class Claim:
    """A row that this process has claimed.

    Attributes:
        queue: the name of the table.
        key: the primary key of the row.
        tries: how many times in a row the job has failed before.
        kind: the kind of message for rows of the inbox, the state at the time of the claim for requests.
        fairness_key: the person who sent the message, or the project of the request.
        slack_call: the call to Slack that shows a card, a notice or an alert. Claiming the row has spent its budget.
    """

    queue: str
    key: str | int
    tries: int
    kind: str = ""
    fairness_key: str = ""
    slack_call: str = ""


@dataclass(frozen=True)
class Queue:
    """All rows of a table, or the rows of some kinds, with one limit.

    Attributes:
        kinds: only messages of these kinds, or only requests in these states; None for all rows of the table.
        max_per_key: how many claims with the same fairness key one process has at once; None for no limit.
    """

    table: Table
    kinds: frozenset[str] | None = None
    max_per_key: int | None = None

    def holds(self, claim: Claim) -> bool:
        return claim.queue == self.table.name and (self.kinds is None or claim.kind in self.kinds)

    def keys_at_limit(self, active_claims: Iterable[Claim]) -> list[str]:
        """The fairness keys that have reached `max_per_key` with these claims."""
        if self.max_per_key is None:
            return []
        counts = Counter(claim.fairness_key for claim in active_claims if self.holds(claim))
        return [fairness_key for fairness_key, count in counts.items() if count >= self.max_per_key]


ALL_QUEUES = tuple(Queue(table) for table in TABLES)


def claim_due(
    connection: Connection, queue: Queue, owner: str, now: datetime, limit: int, active_claims: Collection[Claim] = ()
) -> list[Claim]:
    """Claims up to `limit` due rows that have no claim: the most urgent first, then those due longest.

    What is shown in Slack is claimed only as far as the budget of its calls allows it.

    Arguments:
        owner: the name of this process.
        now: the time that due times are compared with. Leases are measured by the database's clock.
        active_claims: the claims of this process. Their rows are not claimed again, even after their lease ended, and
            they count towards `Queue.max_per_key`.
    """
    table, lease_clock = queue.table, clock(connection)
    key, name = _KEYS[table.name], table.name
    call, urgency = _SLACK_CALLS.get(name, _NONE), _URGENCIES.get(name)
    columns = (key, table.c.tries, _KINDS.get(name, _NONE), _FAIRNESS_KEYS.get(name, _NONE), call)
    order = (table.c.due_at, key) if urgency is None else (urgency, table.c.due_at, key)
    budget = slack_budget.lock(connection, now) if name in _SLACK_CALLS else SlackBudget()
    claims: list[Claim] = []
    spent_calls: set[str] = set()
    while len(claims) < limit:
        found = connection.execute(
            select(_MOST_URGENT if urgency is None else urgency, *columns)
            .where(table.c.due_at <= now, *_is_claimable(queue, lease_clock, [*active_claims, *claims]))
            .where(call.not_in(spent_calls))
            .order_by(*order)
            .limit(limit - len(claims))
            .with_for_update(skip_locked=True, of=table)
        ).all()
        has_skipped = False
        for claim, urgency_of_row in ((Claim(name, *row[1:]), Urgency(row[0])) for row in found):
            if claim.fairness_key in queue.keys_at_limit([*active_claims, *claims]):
                has_skipped = True
            elif budget.available_at(claim.slack_call, urgency_of_row) > now:
                spent_calls.add(claim.slack_call)
                has_skipped = True
            else:
                budget = budget.spend(claim.slack_call, now)
                claims.append(claim)
        if not has_skipped:
            break
    if claims:
        connection.execute(
            update(table)
            .where(key.in_([claim.key for claim in claims]))
            .values(claimed_by=owner, claimed_until=lease_clock + LEASE)
        )
        if name in _SLACK_CALLS:
            slack_budget.save(connection, budget)
    return claims


def claim_one(connection: Connection, table: Table, key: str | int, owner: str) -> bool:
    """Claims one row, due or not. False if this process, or another one with a valid lease, has claimed it."""
    now = clock(connection)
    values = {"claimed_by": owner, "claimed_until": now + LEASE}
    claimed = connection.execute(_claim_one(table), {"of_key": key, "of_owner": owner, "lease_clock": now} | values)
    return claimed.rowcount == 1


@cached_statement
def _claim_one(table: Table) -> Update:
    lease_ended = and_(table.c.claimed_until < bindparam("lease_clock"), table.c.claimed_by != bindparam("of_owner"))
    return update(table).where(
        _KEYS[table.name] == bindparam("of_key"), or_(table.c.claimed_until.is_(None), lease_ended)
    )


def finish(connection: Connection, claim: Claim, owner: str, due_at: datetime | None = None) -> None:
    """Ends a claim after the job succeeded. The row is due again at `due_at`, if given.

    This function and the next three do nothing if another process has claimed the row since.
    """
    _end_claim(connection, claim, owner, due_at=due_at, tries=0)


def postpone(connection: Connection, claim: Claim, owner: str, due_at: datetime) -> None:
    """Ends a claim after the job failed. The job is tried again at `due_at`."""
    _end_claim(connection, claim, owner, due_at=due_at, tries=claim.tries + 1)


def release(connection: Connection, claim: Claim, owner: str) -> None:
    """Ends a claim after the job succeeded and set the due time of the row itself."""
    _end_claim(connection, claim, owner, tries=0)


def release_unchanged(connection: Connection, claim: Claim, owner: str) -> None:
    """Ends a claim whose job was not started. The row is due as before."""
    _end_claim(connection, claim, owner)


def _end_claim(connection: Connection, claim: Claim, owner: str, **values: object) -> None:
    table = tables.metadata.tables[claim.queue]
    connection.execute(
        update(table)
        .where(_KEYS[table.name] == claim.key, table.c.claimed_by == owner)
        .values(claimed_by=None, claimed_until=None, **values)
    )


def renew(connection: Connection, table: Table, owner: str, active_claims: Iterable[Claim]) -> None:
    """Renews the leases of the claims on rows of this table, except rows that another process has claimed since."""
    keys = _keys(table, active_claims)
    if keys:
        until = clock(connection) + LEASE
        connection.execute(
            update(table).where(_KEYS[table.name].in_(keys), table.c.claimed_by == owner).values(claimed_until=until)
        )


def release_all(connection: Connection) -> None:
    """Ends all claims. Call it only at the start with SQLite, which no other process uses."""
    for table in TABLES:
        connection.execute(
            update(table).where(table.c.claimed_by.is_not(None)).values(claimed_by=None, claimed_until=None)
        )


def next_due(
    connection: Connection, now: datetime, queues: Sequence[Queue] = ALL_QUEUES, active_claims: Collection[Claim] = ()
) -> Mapping[Queue, datetime]:
    """When the next row of each queue can be claimed. Leaves out queues without such a row. `now` as in `claim_due`."""
    lease_clock = clock(connection)
    queries = [
        _next_due(queue, index, [*_is_claimable(queue, lease_clock, active_claims)])
        for index, queue in enumerate(queues)
    ]
    if not queries:
        return {}
    budget = slack_budget.load(connection, now)
    found: dict[Queue, datetime] = {}
    for index, call, urgency, due_at in connection.execute(union_all(*queries)):
        if due_at is not None:
            at = max(due_at, budget.available_at(call, Urgency(urgency)))
            found[queues[index]] = min(at, found.get(queues[index], at))
    return found


def _next_due(queue: Queue, index: int, is_claimable: Sequence[ColumnElement[bool]]) -> Select[int, str, int, Any]:
    """The index of a queue, and the next due time of each of its calls to Slack and urgencies."""
    table, name = queue.table, queue.table.name
    if name not in _SLACK_CALLS:
        return select(literal(index), _NONE, _MOST_URGENT, func.min(table.c.due_at)).where(*is_claimable)
    call, urgency = _SLACK_CALLS[name].label("call"), _URGENCIES.get(name, _MOST_URGENT).label("urgency")
    rows = select(call, urgency, table.c.due_at).where(table.c.due_at > tables.LONG_AGO, *is_claimable).subquery()
    next_due_at = func.min(rows.c.due_at)
    return select(literal(index), rows.c.call, rows.c.urgency, next_due_at).group_by(rows.c.call, rows.c.urgency)


def _is_claimable(
    queue: Queue, lease_clock: datetime, active_claims: Collection[Claim]
) -> Iterator[ColumnElement[bool]]:
    table = queue.table
    yield or_(table.c.claimed_until.is_(None), table.c.claimed_until < lease_clock)
    if keys := _keys(table, active_claims):
        yield _KEYS[table.name].not_in(keys)
    if queue.kinds is not None:
        yield _KINDS[table.name].in_(sorted(queue.kinds))
    if at_limit := queue.keys_at_limit(active_claims):
        yield _FAIRNESS_KEYS[table.name].not_in(at_limit)
    if table is tables.notices:
        yield outbox.is_next_in_thread()


def _keys(table: Table, claims: Iterable[Claim]) -> list[str | int]:
    return [claim.key for claim in claims if claim.queue == table.name]


def reschedule_due(connection: Connection, table: Table, key: str, now: datetime, due_at: datetime) -> bool:
    """Moves a row that is due at `now` to `due_at`, claimed or not. Only one of several callers gets True."""
    moved = connection.execute(
        update(table).where(_KEYS[table.name] == key, table.c.due_at <= now).values(due_at=due_at)
    )
    return moved.rowcount == 1


def delete_finished(connection: Connection, before: datetime) -> int:
    """Deletes finished messages and notices that are older than this. Returns the number of deleted rows."""
    created_at = {tables.inbox: tables.inbox.c.received_at, tables.notices: tables.notices.c.created_at}
    return sum(
        connection.execute(
            delete(table).where(table.c.due_at.is_(None), table.c.claimed_by.is_(None), at < before)
        ).rowcount
        for table, at in created_at.items()
    )
