"""Rebuilds infra/images.json from AWS's own table, which the package sagemaker-core carries as data.

    python -m infra.refresh_images PACKAGE_FOLDER [--check]

PACKAGE_FOLDER holds the unpacked package; nothing of it is imported, since that would need half a gigabyte of other packages.
What AWS's table does not say (stack, engines, contents, end of patches, host drivers) stays as a person wrote it.
"""

import difflib
import json
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from infra.images import TABLE

PACKAGE: Final = "sagemaker-core"

# Name in our table → the package's file, and for Hugging Face the framework below its version.
_SOURCES: Final = {"huggingface": ("huggingface", "pytorch"), "pytorch": ("pytorch", None), "whisperx": ("whisperx", None)}


def rebuilt(table: Mapping[str, Any], package: Path) -> dict[str, Any]:
    """The table with accounts, regions and tags as the package has them. Raises ValueError where it contradicts itself."""
    made: dict[str, Any] = json.loads(json.dumps(table))
    registries = {name: _newest(package, *source) for name, source in _SOURCES.items()}
    accounts: dict[str, str] = {}
    for name, found in registries.items():
        for region, account in found["registries"].items():
            if accounts.setdefault(region, account) != account:
                raise ValueError(
                    f"{region} keeps {name} in {account}, and another image in {accounts[region]}; split the table"
                )
    made["accounts"] = dict(sorted(accounts.items()))
    for name, found in registries.items():
        image = made["images"][name]
        image["repository"] = found["repository"]
        image["tags"] = {kind: _tag(kind, found, image["tags"].get(kind, "")) for kind in image["tags"]}
        image["without_regions"] = sorted(accounts.keys() - found["registries"].keys())
    made["package"] = f"{PACKAGE} {package_version(package)}"
    if made != table:
        made["checked"] = datetime.now(UTC).date().isoformat()
    return made


def package_version(package: Path) -> str:
    """Raises ValueError where the folder holds no sagemaker-core."""
    for folder in package.glob(f"{PACKAGE.replace('-', '_')}-*.dist-info"):
        return folder.name.removesuffix(".dist-info").split("-")[1]
    raise ValueError(f"{package} holds no {PACKAGE}; run make refresh-images")


def difference(table: Mapping[str, Any], made: Mapping[str, Any]) -> str:
    """As a unified diff; empty where nothing differs."""
    return "".join(
        difflib.unified_diff(
            _text(table).splitlines(keepends=True),
            _text(made).splitlines(keepends=True),
            f"{TABLE.name} as it is",
            f"{TABLE.name} by {made['package']}",
        )
    )


def _newest(package: Path, framework: str, base: str | None) -> dict[str, Any]:
    """The newest version's entry, with its version as `tag_start`."""
    config = json.loads((package / "sagemaker" / "core" / "image_uri_config" / f"{framework}.json").read_text())
    versions = config.get("inference", config)["versions"]
    version = max(versions, key=_numbers)
    found: dict[str, Any] = versions[version]
    if base is None:
        return {**found, "tag_start": found.get("tag_prefix", version)}
    newest = max((name for name in found if name.startswith(base)), key=lambda name: _numbers(name.removeprefix(base)))
    return {**found[newest], "tag_start": f"{newest.removeprefix(base)}-transformers{version}"}


def _tag(kind: str, found: Mapping[str, Any], current: str) -> str:
    """As sagemaker.core.image_uris.retrieve composes it."""
    processor = kind if found.get("processor_in_tag", True) else None
    python = max(found.get("py_versions", [""]), key=lambda name: _numbers(name.removeprefix("py")))
    parts = [found["tag_start"], processor, python, found.get("container_version", {}).get(kind)]
    tag = "-".join(part for part in parts if part)
    # For PyTorch the package has the short alias of a tag; the long one also says system and CUDA.
    return current if current.startswith(f"{tag}-") else tag


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) if part.isdecimal() else -1 for part in version.split("."))


def _text(table: Mapping[str, Any]) -> str:
    return json.dumps(table, indent=1) + "\n"


def main(arguments: list[str]) -> int:
    package, check = Path(arguments[0]), "--check" in arguments
    table = json.loads(TABLE.read_text())
    made = rebuilt(table, package)
    if made == table:
        sys.stdout.write(f"{TABLE.name} is as {made['package']} has it\n")
        return 0
    sys.stdout.write(difference(table, made))
    if check:
        sys.stdout.write(f"{TABLE.name} differs from {made['package']}; run make refresh-images and review the difference\n")
        return 1
    TABLE.write_text(_text(made))
    sys.stdout.write(
        f"{TABLE.name} is written. Where a tag changed, look up what that image has (`contents`: Python, numpy), until "
        "when it is patched, and which driver its CUDA needs; then run make lock, make snapshots and make serving-test\n"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
