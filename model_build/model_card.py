"""The model card, made from manifest and weights: what an archive's model is, for programs (JSON) and people (Markdown)."""

import json
from dataclasses import asdict
from typing import Any, Final

from model_build.catalogue import number_of_parameters
from model_build.checkpoint import Checkpoint
from model_build.huggingface_source import GENERATION, read_json
from model_build.vocabulary import alignment_heads, has_whispers_vocabulary, language_codes
from whisperstack_contract.artefact import ArchiveManifest

_SCHEMA: Final = 1


def model_card(checkpoint: Checkpoint, manifest: ArchiveManifest, weights_sha256: str) -> dict[str, Any]:
    """What the JSON holds. weights_sha256: of the weights file in the archive."""
    return {
        "schema": _SCHEMA,
        "engine": manifest.engine,
        "model": manifest.model,
        "source": asdict(manifest.source),
        "dims": checkpoint.dims,
        "parameters": number_of_parameters(checkpoint.dims),
        "float_type": checkpoint.float_type,
        "languages": _languages(checkpoint),
        "alignment_heads": alignment_heads(checkpoint, manifest.model),
        "weights": {"file": manifest.weights, "sha256": weights_sha256},
        "vendored": manifest.vendored.versions,
        "built_with": manifest.built_with,
        "measured": manifest.measured,
    }


def _languages(checkpoint: Checkpoint) -> list[str]:
    """Codes; of a model with a vocabulary of its own, those that its generation settings name."""
    settings = None if checkpoint.folder is None else checkpoint.folder / GENERATION
    if settings is None or not settings.is_file() or has_whispers_vocabulary(checkpoint.dims):
        return language_codes(checkpoint.dims)
    named = read_json(settings).get("lang_to_id")
    return sorted(name.strip("<|>") for name in named) if isinstance(named, dict) else ["en"]


def to_json(card: dict[str, Any]) -> bytes:
    return (json.dumps(card, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def to_markdown(card: dict[str, Any]) -> bytes:
    source, dims, languages = card["source"], card["dims"], card["languages"]
    facts = {
        "Engine": card["engine"],
        "Source": f"{source['kind']}: {source['name']}",
        "Revision": source["revision"] or "none",
        "Author": source["author"],
        "Licence": source["licence"],
        "Parameters": f"{card['parameters'] / 1e6:.1f} M, {card['float_type']}",
        "Languages": "English only" if languages == ["en"] else f"{len(languages)}: {', '.join(languages)}",
    }
    hashes = {"of the source": source["sha256"], f"of {card['weights']['file']}": card["weights"]["sha256"]}
    sections = {
        "": _table(("", ""), facts),
        "Measured": _table(("what", "value"), card["measured"])
        if card["measured"]
        else "No benchmark was run for this artefact: measure accuracy and speed on your own recordings before you rely on it.",
        "Dimensions": _table(("dimension", "value"), dims),
        "SHA-256": _table(("", ""), hashes),
        "Built with": _table(("package", "version"), card["built_with"]),
        "Carried for the container": _table(("package", "version"), card["vendored"]) if card["vendored"] else "Nothing.",
    }
    text = "\n\n".join(f"## {title}\n\n{body}" if title else body for title, body in sections.items())
    return f"# {_cell(card['model'])}\n\n{text}\n".encode()


def _table(head: tuple[str, str], rows: dict[str, Any]) -> str:
    lines = [f"| {head[0]} | {head[1]} |", "|---|---|"]
    return "\n".join([*lines, *(f"| {_cell(name)} | {_cell(value)} |" for name, value in rows.items())])


def _cell(value: object) -> str:
    """In one line, and no end of a cell: names and licences come from elsewhere."""
    return " ".join(str(value).split()).replace("|", "\\|")
