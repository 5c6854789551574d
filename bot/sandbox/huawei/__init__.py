"""Stand-ins for Huawei Cloud: OMS with its task groups, IAM, and the API gateway in front of both."""
