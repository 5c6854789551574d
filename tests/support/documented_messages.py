"""What Huawei Cloud writes to people in errors, with the names of objects, buckets and hosts, and times.

Sources: error bodies of public logs of `hcloud` and Terraform; API Gateway FAQ, "APIG.0301"; IAM API reference, "Error
Codes"; OMS user guide, "Migration failure causes". The names in them are like those of real objects.
"""

from __future__ import annotations

#: Documented values of `error_msg`, `error_detail` and `message`.
_ERRORS = (
    "Invalid request parameters.",
    "request parameter [description] invalid.",
    "request parameter [src_ak] missing.",
    "Invalid request parameters. request parameter [source_cdn_authentication_key] invalid.",
    "Insufficient permission.",
    "The resource is not found.",
    "The CDN authentication key is missing.",
    "Failed to access the source bucket. Check the AK/SK pair and the permissions of the source account.",
    "Only paused task groups can be resumed.",
    "Incorrect IAM authentication information: verify aksk signature fail",
    "Incorrect IAM authentication information: calc aksk signature fail:signature expired, "
    "signature time:20260115T064303Z,server time:20260115T065804Z",
    "Incorrect IAM authentication information: AK access failed to reach the limit,forbidden",
    "Incorrect IAM authentication information: decrypt token fail",
    "Incorrect IAM authentication information: get token error",
    "Incorrect IAM authentication information: Unauthorized",
    "Get secretKey failed,ak:,err:ak not exist",
    "The token must be updated.",
    "The throttling threshold has been reached: policy user over ratelimit,limit:5,time:1 minute",
    "The username or password is wrong.",
    "The request you have made requires authentication.",
    "You are not authorized to perform the requested action: oms:taskgroup:update.",
    "Source client IP address 10.0.12.7:443 is not allowed; see https://support.huaweicloud.com/api-oms/.",
)
#: Names that look random, or like the fields of a key, in the texts around which they occur.
_WITH_NAMES = (
    "The object photos/2024/IMG_20240311_184522.jpg of bucket photos-prod was not found at 2026-11-25T01:38:33.120Z",
    "https://photos-prod.s3.us-east-1.amazonaws.com/backup/2019-01-01/part-00017-of-00350.parquet: 404",
    "obs://photos-archive.obs.ap-southeast-3.myhuaweicloud.com/CustomerUploads/2024/Q3/Invoice_No_20240311.PDF: 403",
    "Access to bucket my-ak-bucket-production-2024 denied, prefix photos/sk/2024-01-01-images",
    "The list file lists/objects-2026-11-25T013833Z.txt in bucket photos-archive has a line of 65,536 characters.",
    "Object data/00878453-3402-4a86-9e2a-5d5217cd35b2/3fa94c0d9e8b7a6f5e4d3c2b1a098765.bin: changed at 1764034713120",
    "ETag 9b2cf535f27731c974343645a3985328-12 of video/DSC00012.MOV differs from 900150983cd24fb0d6963f7d28e17f72",
    "DefaultEndpointsProtocol or EndpointSuffix core.windows.net of AccountName sandbox is wrong",
    "service_account migration@sandbox.iam.gserviceaccount.com of project_id sandbox has no permission",
    "task group 00878453-3402-4a86-9e2a-5d5217cd35b2 of project 0123456789abcdef0123456789abcdef",
    "The custom domain img.shop.example does not resolve to bucket shop; check the CDN domain.",
    "源端桶 photos-prod 的对象 照片/2024/IMG_0001.jpg 不存在 (2026-11-25 01:38:33)",
)
MESSAGES = (*_ERRORS, *_WITH_NAMES)
