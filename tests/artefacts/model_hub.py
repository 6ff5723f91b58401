"""A stand-in for a model hub, as `answer` of a file server. What a real one answers was read from huggingface_hub."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Hub:
    """One repository, "owner/name", with one commit. stated: digests that it states wrongly. lfs: whether it states any."""

    repository: str
    commit: str
    files: dict[str, bytes]
    stated: dict[str, str] = field(default_factory=dict)
    lfs: bool = True

    def __call__(self, path: str) -> tuple[bytes, dict[str, str]] | None:
        path, _, _ = path.partition("?")
        about = f"/api/models/{self.repository}"
        if path in (about, f"{about}/revision/main", f"{about}/revision/{self.commit}"):
            return json.dumps(self._about()).encode(), {"Content-Type": "application/json"}
        start = f"/{self.repository}/resolve/{self.commit}/"
        content = self.files.get(path.removeprefix(start)) if path.startswith(start) else None
        if content is None:
            return None
        return content, {"ETag": f'"{hashlib.sha256(content).hexdigest()}"', "X-Repo-Commit": self.commit}

    def _about(self) -> dict[str, Any]:
        siblings = []
        for name, content in self.files.items():
            digest = self.stated.get(name, hashlib.sha256(content).hexdigest())
            lfs = {"sha256": digest, "size": len(content), "pointerSize": 130}
            siblings.append({"rfilename": name, "size": len(content), **({"lfs": lfs} if self.lfs else {})})
        card = {"license": "apache-2.0"}
        return {"id": self.repository, "sha": self.commit, "author": "me", "cardData": card, "siblings": siblings, "tags": []}
