"""The settings: environment variables and bot.toml as checked values."""
