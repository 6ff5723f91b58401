"""Counts instance hours and limits them."""
