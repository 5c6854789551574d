"""The ids and tokens of the sandbox's Slack workspace: the app and its bot, the users, a user group, the channels."""

from __future__ import annotations

TEAM_ID, APP_ID = "T0SANDBOX1", "A0SANDBOX1"
BOT_USER_ID, BOT_ID = "U0TASKBOT1", "B0TASKBOT1"
BOT_TOKEN, APP_TOKEN = "xoxb-sandbox-bot-token", "xapp-1-A0SANDBOX1-sandbox-app-token"
SIGNING_SECRET = "sandbox-signing-secret"
SCOPES = frozenset({"commands", "chat:write", "users:read", "usergroups:read"})

# Full members. bot.toml names carol as an approver; dave is one as the only member of the user group.
ALICE, BOB, CAROL, DAVE = "U0ALICE001", "U0BOB00001", "U0CAROL001", "U0DAVE0001"
ERIN = "U0ERIN0001"  # a guest
FRANK = "U0FRANK001"  # deactivated
GRACE = "U0GRACE001"  # a person of another organization
APPROVERS_GROUP = "S0MIGRATE1"

MIGRATIONS = "C0MIGRATE1"  # the channel of the cards
GENERAL = "C0GENERAL1"  # a channel without the bot
OLD_MIGRATIONS = "C0OLDMIGR1"  # an archived channel
