"""The loop and the steps it takes: the only place that joins Slack, Vault, OMS and the store."""
