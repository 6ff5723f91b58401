"""Serves Whisper in a SageMaker container: audio in, a transcript or a typed error out."""
