"""The sandbox: stand-ins for Slack, OMS and IAM, a real Vault API server, the real bot, and a control panel."""
