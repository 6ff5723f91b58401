"""Operators' commands: what became of a recording, and what to do about it."""
