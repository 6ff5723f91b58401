"""Turns an uploaded recording into a request to the asynchronous endpoint."""
