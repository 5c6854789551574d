"""A Slack bot that resumes paused Huawei Cloud OMS migration task groups."""
