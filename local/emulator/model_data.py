"""Brings a model's files into the folder that its container sees as /opt/ml/model.

Either `ModelDataUrl`, an archive that is unpacked, or `ModelDataSource` with `CompressionType: None`: a prefix whose objects
lie in the folder under the rest of their names.
"""

import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

_BLOCK_BYTES: Final = 1 << 20


def fetch_model(s3: Any, container: Mapping[str, Any], folder: Path) -> None:
    """container: a model's PrimaryContainer. Raises ClientError, TarError, OSError; ValueError for a prefix without objects."""
    source = container.get("ModelDataSource", {}).get("S3DataSource")
    if source is None:
        _fetch_archive(s3, container["ModelDataUrl"], folder)
    else:
        _fetch_prefix(s3, source["S3Uri"], folder)


def _fetch_archive(s3: Any, uri: str, folder: Path) -> None:
    with tempfile.TemporaryFile(dir=folder.parent) as archive:
        _copy(s3, *_split(uri), archive)
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            tar.extractall(folder, filter="data")


def _fetch_prefix(s3: Any, uri: str, folder: Path) -> None:
    bucket, prefix = _split(uri)
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    keys = [entry["Key"] for page in pages for entry in page.get("Contents", [])]
    if not keys:
        raise ValueError(f"there is no object below {uri}; publish the unpacked model first")
    for key in keys:
        path = folder / key.removeprefix(prefix).lstrip("/")
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as file:
            _copy(s3, bucket, key, file)


def _copy(s3: Any, bucket: str, key: str, file: Any) -> None:
    # In one stream: S3 is in this process too, so that parallel ranges would only wait for each other, seconds long.
    with s3.get_object(Bucket=bucket, Key=key)["Body"] as body:
        shutil.copyfileobj(body, file, _BLOCK_BYTES)


def _split(uri: str) -> tuple[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return bucket, key
