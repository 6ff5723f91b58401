"""Asks the endpoint to transcribe a known sample."""
