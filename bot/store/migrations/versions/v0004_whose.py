"""A message asks once for a group, whatever becomes of the request; and a row of the inbox says whose it is."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

REQUESTS = sa.table(
    "requests",
    *(sa.column(name) for name in ("id", "group_id", "created_at", "origin_key")),
    sa.column("body", sa.JSON),
)
INBOX = sa.table("inbox", sa.column("id"), sa.column("person"), sa.column("body", sa.JSON))


def upgrade() -> None:
    op.add_column("requests", sa.Column("origin_key", sa.String(255)))
    op.add_column("inbox", sa.Column("person", sa.String(32), nullable=False, server_default=""))
    connection = op.get_bind()
    known = set()
    newest_first = sa.select(REQUESTS.c.id, REQUESTS.c.group_id, REQUESTS.c.body).order_by(REQUESTS.c.created_at.desc())
    for key, group_id, body in connection.execute(newest_first).all():
        origin_key = body.get("origin_key", "").partition("/")[0]
        # Where one message had asked twice, the newer request is the one that it is answered with.
        if origin_key and (origin_key, group_id) not in known:
            known.add((origin_key, group_id))
            connection.execute(sa.update(REQUESTS).where(REQUESTS.c.id == key).values(origin_key=origin_key))
    for key, body in connection.execute(sa.select(INBOX.c.id, INBOX.c.body)).all():
        connection.execute(sa.update(INBOX).where(INBOX.c.id == key).values(person=body.get("person", "")))
    op.create_index("requests_origin", "requests", ["origin_key", "group_id"], unique=True)
