"""HashiCorp Vault: login, key checks, and reading secrets."""
