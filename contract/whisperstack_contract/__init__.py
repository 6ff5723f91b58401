"""What every part of Whisperstack agrees on: options, jobs, object keys, transcripts, subtitles, errors, limits.

Standard library only and no I/O: this package is copied into every model artefact and every function.
"""
