"""Decides what a batch transcribes, and how it is shared out among transform jobs."""
