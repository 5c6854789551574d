"""The bot's own identity at Huawei Cloud: reading it, guarding it, calling with it."""
