"""Stand-ins for Slack, OMS and IAM, a real Vault API server, and the page that shows them."""
