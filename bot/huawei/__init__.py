"""Huawei Cloud: OMS and IAM over HTTP, request signing, and what their errors mean."""
