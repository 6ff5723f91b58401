"""Turns what the asynchronous endpoint says of an attempt into the job's end."""
