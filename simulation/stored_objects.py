"""Versioned buckets, and the calls of S3 that the functions make."""

from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from io import BytesIO
from types import SimpleNamespace
from typing import Any, Final

from botocore.exceptions import ClientError

from simulation.faults import Fault, Faults
from simulation.wire import Wire, client_error

# Source: S3 API, ListObjectVersions.
_PAGE: Final = 1000


class NoSuchKey(ClientError):  # noqa: N818
    """S3's answer for an object that is not there. The name is botocore's."""


@dataclass(frozen=True)
class Version:
    """size: what S3 says, so that an hour of sound need not be kept. modified: seconds since 1970."""

    key: str
    version_id: str
    body: bytes
    size: int
    etag: str
    modified: float
    content_type: str = "binary/octet-stream"
    metadata: Mapping[str, str] = field(default_factory=dict)
    is_marker: bool = False


class Bucket:
    """keeps: whether what was overwritten or deleted can be read again. heard: is told (event, version) of each change."""

    def __init__(self, name: str, clock: Callable[[], float], *, keeps: bool) -> None:
        self.name = name
        self.heard: Callable[[str, Version], None] = lambda _event, _version: None
        self._clock = clock
        self._keeps = keeps
        self._versions: dict[str, list[Version]] = {}
        self._by_id: dict[str, Version] = {}
        self._keys: list[str] = []
        self._number = 0

    def put(self, key: str, body: bytes, size: int | None = None, **more: Any) -> Version:
        version = self._new(key, body, len(body) if size is None else size, **more)
        self.heard("Object Created", version)
        return version

    def delete(self, key: str) -> Version:
        """Hides an object behind a delete marker."""
        marker = self._new(key, b"", 0, is_marker=True)
        self.heard("Object Deleted", marker)
        return marker

    def delete_for_good(self, version: Version) -> None:
        self._versions[version.key].remove(version)
        del self._by_id[version.version_id]
        if not self._versions[version.key]:
            del self._versions[version.key]
            del self._keys[bisect_left(self._keys, version.key)]
        self.heard("Object Deleted", version)

    def current(self, key: str) -> Version | None:
        versions = self._versions.get(key)
        return versions[-1] if versions and not versions[-1].is_marker else None

    def version(self, key: str, version_id: str) -> Version | None:
        found = self._by_id.get(version_id)
        return found if found and found.key == key and not found.is_marker else None

    def versions(self, key: str) -> list[Version]:
        """Markers too, the oldest first."""
        return self._versions.get(key, [])

    def keys(self, prefix: str = "", after: str = "") -> Iterator[str]:
        """In order; of what is deleted too."""
        start = max(bisect_left(self._keys, prefix), bisect_left(self._keys, after) if after else 0)
        for number in range(start, len(self._keys)):
            if not self._keys[number].startswith(prefix):
                return
            yield self._keys[number]

    def _new(self, key: str, body: bytes, size: int, **more: Any) -> Version:
        self._number += 1
        version = Version(key, f"v{self._number}", body, size, f'"{self._number}"', self._clock(), **more)
        if self._keeps:
            self._by_id[version.version_id] = version
        if key not in self._versions:
            insort(self._keys, key)
            self._versions[key] = [version]
        elif self._keeps:
            self._versions[key].append(version)
        else:
            self._versions[key][:] = [version]
        return version


class S3:
    """A client: refuses parameters that it does not know."""

    exceptions: Final = SimpleNamespace(NoSuchKey=NoSuchKey)

    def __init__(self, wire: Wire, faults: Faults, buckets: Mapping[str, Bucket]) -> None:
        self._wire = wire
        self._faults = faults
        self._buckets = buckets

    def head_object(self, *, Bucket: str, Key: str, VersionId: str | None = None) -> dict[str, Any]:  # noqa: N803
        def effect() -> dict[str, Any]:
            found = self._find("HeadObject", Bucket, Key, VersionId, "404")
            return {
                "VersionId": found.version_id,
                "ETag": found.etag,
                "ContentType": found.content_type,
                "Metadata": dict(found.metadata),
                "ContentLength": found.size,
            }

        return self._wire.call("s3", "HeadObject", Key, effect)

    def get_object(self, *, Bucket: str, Key: str, IfMatch: str | None = None) -> dict[str, Any]:  # noqa: N803
        def effect() -> dict[str, Any]:
            found = self._find("GetObject", Bucket, Key, None, "NoSuchKey")
            if IfMatch and found.etag != IfMatch:
                raise client_error("GetObject", "PreconditionFailed", 412)
            return {"Body": BytesIO(found.body), "ETag": found.etag}

        return self._wire.call("s3", "GetObject", Key, effect)

    def put_object(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        Body: bytes,  # noqa: N803
        ContentType: str,  # noqa: N803
        Metadata: Mapping[str, str] | None = None,  # noqa: N803
        IfMatch: str | None = None,  # noqa: N803
        IfNoneMatch: str | None = None,  # noqa: N803
    ) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            self._check_condition("PutObject", Bucket, Key, IfMatch, IfNoneMatch)
            put = self._buckets[Bucket].put(Key, Body, content_type=ContentType, metadata=Metadata or {})
            return {"ETag": put.etag, "VersionId": put.version_id}

        return self._wire.call("s3", "PutObject", Key, effect)

    def copy_object(
        self,
        *,
        Bucket: str,  # noqa: N803
        Key: str,  # noqa: N803
        CopySource: dict[str, str],  # noqa: N803
        ContentType: str,  # noqa: N803
        MetadataDirective: str,  # noqa: N803, ARG002
        TaggingDirective: str,  # noqa: N803, ARG002
    ) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            source = self._find("CopyObject", CopySource["Bucket"], CopySource["Key"], CopySource["VersionId"], "NoSuchVersion")
            copy = self._buckets[Bucket].put(Key, source.body, source.size, content_type=ContentType)
            return {"CopyObjectResult": {"ETag": copy.etag}}

        return self._wire.call("s3", "CopyObject", Key, effect)

    def delete_object(self, *, Bucket: str, Key: str, IfMatch: str) -> dict[str, Any]:  # noqa: N803
        def effect() -> dict[str, Any]:
            self._check_condition("DeleteObject", Bucket, Key, IfMatch, None)
            self._buckets[Bucket].delete(Key)
            return {"DeleteMarker": True}

        return self._wire.call("s3", "DeleteObject", Key, effect)

    def list_objects_v2(self, *, Bucket: str, Prefix: str) -> dict[str, Any]:  # noqa: N803
        def effect() -> dict[str, Any]:
            bucket = self._buckets[Bucket]
            found = [current for key in bucket.keys(Prefix) if (current := bucket.current(key))]
            return {"Contents": [{"Key": each.key, "ETag": each.etag} for each in found]} if found else {}

        return self._wire.call("s3", "ListObjectsV2", Prefix, effect)

    def list_object_versions(
        self,
        *,
        Bucket: str,  # noqa: N803
        Prefix: str,  # noqa: N803
        KeyMarker: str = "",  # noqa: N803
        VersionIdMarker: str = "",  # noqa: N803
    ) -> dict[str, Any]:
        def effect() -> dict[str, Any]:
            bucket, listed, truncated = self._buckets[Bucket], list[tuple[Version, bool]](), False
            for each, is_latest in _newest_first(bucket, Prefix, KeyMarker, VersionIdMarker):
                if len(listed) == _PAGE:
                    truncated = True
                    break
                listed.append((each, is_latest))
            page: dict[str, Any] = {
                "IsTruncated": truncated,
                "Versions": [_entry(each, latest) for each, latest in listed if not each.is_marker],
                "DeleteMarkers": [_entry(each, latest) for each, latest in listed if each.is_marker],
            }
            if truncated:
                page |= {"NextKeyMarker": listed[-1][0].key, "NextVersionIdMarker": listed[-1][0].version_id}
            return page

        return self._wire.call("s3", "ListObjectVersions", KeyMarker, effect)

    def _find(self, operation: str, bucket: str, key: str, version_id: str | None, code: str) -> Version:
        there = self._buckets[bucket]
        found = there.version(key, version_id) if version_id else there.current(key)
        if found is None:
            missing = client_error(operation, code, 404)
            raise NoSuchKey(missing.response, operation) if code == "NoSuchKey" else missing
        return found

    def _check_condition(self, operation: str, bucket: str, key: str, if_match: str | None, if_none_match: str | None) -> None:
        if not (if_match or if_none_match):
            return
        if self._faults.happens(Fault.WRITE_CONFLICT):
            raise client_error(operation, "ConditionalRequestConflict", 409)
        current = self._buckets[bucket].current(key)
        if if_match and current is None:
            raise client_error(operation, "NoSuchKey", 404)
        if (if_match and current and current.etag != if_match) or (if_none_match and current):
            raise client_error(operation, "PreconditionFailed", 412)


def _newest_first(bucket: Bucket, prefix: str, key_marker: str, version_marker: str) -> Iterator[tuple[Version, bool]]:
    """(version, whether it is the latest), from after the markers on."""
    for key in bucket.keys(prefix, key_marker):
        versions = bucket.versions(key)[::-1]
        numbers = [int(each.version_id[1:]) for each in versions]
        for each, number in zip(versions, numbers, strict=True):
            # A marker may have been deleted since; those after it are older.
            if key != key_marker or (version_marker and number < int(version_marker[1:])):
                yield each, each is versions[0]


def _entry(version: Version, latest: bool) -> dict[str, Any]:
    return {
        "Key": version.key,
        "VersionId": version.version_id,
        "Size": version.size,
        "IsLatest": latest,
        "LastModified": datetime.fromtimestamp(version.modified, UTC),
    }
