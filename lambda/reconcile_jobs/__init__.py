"""Finds what no notification told: overdue jobs, unrecorded outputs, untold ends, uploads without a job."""
