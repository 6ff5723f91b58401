"""Uploads a file to S3 so that the next attempt goes on where this one stopped.

S3 itself keeps what has arrived: an unfinished multipart upload under the same key holds the parts of the same content, because
a key holds the content's digest. Each part is compared with its piece of the file before it counts. Parts of an upload that
nobody goes on with are paid for until the bucket's lifecycle rule removes them.
"""

import base64
import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from model_build.progress import Progress

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, PartTypeDef

# S3 takes at most 10,000 parts of at least 5 MB. Source: Amazon S3 user guide, multipart upload limits.
_MOST_PARTS: Final = 10_000
_PART_BYTES: Final = 16 * 1024**2
_AT_ONCE: Final = 4


@dataclass(frozen=True)
class Target:
    """One object. content_type, metadata: what it is stored with."""

    bucket: str
    key: str
    content_type: str
    metadata: Mapping[str, str]


def upload(s3: "S3Client", path: Path, target: Target, progress: Progress) -> None:
    """Raises ClientError or BotoCoreError; what has arrived by then is kept for the next call."""
    size_bytes = path.stat().st_size
    if size_bytes <= _PART_BYTES:
        content = path.read_bytes()
        s3.put_object(
            Bucket=target.bucket,
            Key=target.key,
            Body=content,
            ContentType=target.content_type,
            Metadata=target.metadata,
            ChecksumSHA256=_sha256(content),
        )
        progress.advance(size_bytes)
        return
    part_bytes = max(_PART_BYTES, -(-size_bytes // _MOST_PARTS))
    upload_id, arrived = _find_or_start(s3, target)
    parts: list[CompletedPartTypeDef] = []
    pool = ThreadPoolExecutor(_AT_ONCE)
    try:
        numbers = range(1, -(-size_bytes // part_bytes) + 1)
        sent = [
            pool.submit(_send_part, s3, target, upload_id, path, number, part_bytes, arrived.get(number)) for number in numbers
        ]
        for finished in as_completed(sent):
            part, sent_bytes = finished.result()
            parts.append(part)
            progress.advance(sent_bytes)
    finally:
        # An interrupted upload ends after the parts that are on their way.
        pool.shutdown(cancel_futures=True)
    s3.complete_multipart_upload(
        Bucket=target.bucket,
        Key=target.key,
        UploadId=upload_id,
        MultipartUpload={"Parts": sorted(parts, key=lambda part: part["PartNumber"])},
    )


def _find_or_start(s3: "S3Client", target: Target) -> tuple[str, dict[int, "PartTypeDef"]]:
    """The upload to go on with, and its parts by number. Of several the newest; the others are given up."""
    found = s3.list_multipart_uploads(Bucket=target.bucket, Prefix=target.key).get("Uploads", [])
    mine = sorted((entry for entry in found if entry["Key"] == target.key), key=lambda entry: entry["Initiated"])
    for entry in mine[:-1]:
        s3.abort_multipart_upload(Bucket=target.bucket, Key=target.key, UploadId=entry["UploadId"])
    if not mine:
        started = s3.create_multipart_upload(
            Bucket=target.bucket,
            Key=target.key,
            ContentType=target.content_type,
            Metadata=target.metadata,
            ChecksumAlgorithm="SHA256",
        )
        return started["UploadId"], {}
    upload_id = mine[-1]["UploadId"]
    pages = s3.get_paginator("list_parts").paginate(Bucket=target.bucket, Key=target.key, UploadId=upload_id)
    return upload_id, {part["PartNumber"]: part for page in pages for part in page.get("Parts", [])}


def _send_part(
    s3: "S3Client", target: Target, upload_id: str, path: Path, number: int, part_bytes: int, arrived: "PartTypeDef | None"
) -> tuple["CompletedPartTypeDef", int]:
    """The part as S3 names it, and its size."""
    with path.open("rb") as file:
        file.seek((number - 1) * part_bytes)
        content = file.read(part_bytes)
    checksum = _sha256(content)
    if arrived is not None and _is_same(arrived, content, checksum):
        return {"PartNumber": number, "ETag": arrived["ETag"], "ChecksumSHA256": checksum}, len(content)
    part = s3.upload_part(
        Bucket=target.bucket, Key=target.key, UploadId=upload_id, PartNumber=number, Body=content, ChecksumSHA256=checksum
    )
    return {"PartNumber": number, "ETag": part["ETag"], "ChecksumSHA256": checksum}, len(content)


def _is_same(arrived: "PartTypeDef", content: bytes, checksum: str) -> bool:
    if "ChecksumSHA256" in arrived:
        return arrived["ChecksumSHA256"] == checksum
    # Where S3 lists no checksum: without a key of one's own, a part's ETag is its MD5.
    return arrived["ETag"].strip('"') == hashlib.md5(content, usedforsecurity=False).hexdigest()


def _sha256(content: bytes) -> str:
    return base64.b64encode(hashlib.sha256(content).digest()).decode()
