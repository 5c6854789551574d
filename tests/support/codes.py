"""The error codes that Huawei Cloud documents with a meaning, kept independently of the bot's own catalogue.

The sources are those of `bot.huawei.error_catalogue`. Codes without a documented meaning are left out.
"""

from __future__ import annotations


def _codes(prefix: str, numbers: str) -> tuple[str, ...]:
    return tuple(f"{prefix}.{number}" for number in numbers.split())


OMS = _codes(
    "OMS",
    "0001 0002 0004 0005 0053 0054 0057 0058 0060 0061 0062 0063 0064 0065 0066 0067 0068 0070 0072 0073 0074 0075 "
    "0076 0077 0078 0079 0080 0081 0083 0084 0085 0086 0087 0089 0151 0152 0153 0154 0155 0156 0157 0158 0159 0160 "
    "0161 0167 0168 0169 0201 0202 0203 0204 0302 0303 0304 0305 0306 0307 0308 1001 1002 1003 1004 1005 1006 1007 "
    "1008 1009 1010 1014 1016 1020 1021 1032 1036 1037 1038 1039 1040 1041",
)
TRF = _codes(
    "TRF",
    "0001 0003 0012 0013 0014 0015 0016 0017 0018 0019 0051 0052 0053 0054 0055 0056 0057 0058 0059 0060 0061 0062 "
    "0063 0151 0152 0153 0154 0155 0156 0157 0158 0159 0160 0201 0202 0301",
)
APIG = _codes("APIG", "0101 0201 0203 0301 0302 0304 0306 0307 0308 0310 0401 0402 0601 0610 0613 0802")

# IAM's documentation gives the HTTP status of each code.
IAM_STATUS = {
    **dict.fromkeys(_codes("IAM", "0007 0011 0072 0073 1108 1109"), 400),
    **dict.fromkeys(_codes("IAM", "0001 0061 0062 0066 0067"), 401),
    **dict.fromkeys(_codes("IAM", "0002 0003 0080 0081 0082 0083"), 403),
    "IAM.0004": 404,
    "IAM.0020": 410,
    "IAM.0012": 429,
    "IAM.0006": 500,
}
EVERY_CODE = (*OMS, *TRF, *APIG, *IAM_STATUS)
