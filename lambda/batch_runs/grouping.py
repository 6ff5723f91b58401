"""Which recordings may share a transform job: options travel in a job's environment, so they must be the same."""

import hashlib


def options_digest(options: str) -> str:
    """Stands for `options`, JSON, in a line."""
    return hashlib.sha256(options.encode()).hexdigest()[:16]
