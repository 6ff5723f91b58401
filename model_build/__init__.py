"""Builds a Whisper model artefact and publishes it: `python -m model_build --help`."""
