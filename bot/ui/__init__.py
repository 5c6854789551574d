"""What people read in Slack: messages, modals and their texts, as pure functions of domain values.

`states` has the texts of each state of a request. `card`, `buttons`, `status` and `thread` show a request,
`replies` and `refusals` answer one person, `modals` and `home` are views. The other modules build their parts.
"""
