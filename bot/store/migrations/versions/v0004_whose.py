"""A message asks once for a group, whatever becomes of the request; and a row of the inbox says whose it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

REQUESTS = sa.table(
    "requests", *(sa.column(name) for name in ("id", "group_id", "asked_at", "asked_with")), sa.column("body", sa.JSON)
)
INBOX = sa.table("inbox", sa.column("id"), sa.column("person"), sa.column("body", sa.JSON))


def upgrade() -> None:
    op.add_column("requests", sa.Column("asked_with", sa.String(255)))
    op.add_column("inbox", sa.Column("person", sa.String(32), nullable=False, server_default=""))
    connection = op.get_bind()
    known = set()
    newest_first = sa.select(REQUESTS.c.id, REQUESTS.c.group_id, REQUESTS.c.body).order_by(REQUESTS.c.asked_at.desc())
    for key, group_id, body in connection.execute(newest_first).all():
        asked_with = body.get("asked_with", "").partition("/")[0]
        # Where one message had asked twice, the newer request is the one that it is answered with.
        if asked_with and (asked_with, group_id) not in known:
            known.add((asked_with, group_id))
            connection.execute(sa.update(REQUESTS).where(REQUESTS.c.id == key).values(asked_with=asked_with))
    for key, body in connection.execute(sa.select(INBOX.c.id, INBOX.c.body)).all():
        connection.execute(sa.update(INBOX).where(INBOX.c.id == key).values(person=body.get("person", "")))
    op.create_index("requests_asked_with", "requests", ["asked_with", "group_id"], unique=True)
