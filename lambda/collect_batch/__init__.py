"""Turns what transform jobs wrote into the ends of jobs, hands on what is left, and reports."""
