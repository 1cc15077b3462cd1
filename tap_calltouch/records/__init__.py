"""Turning the bytes of an answer into clean records belongs here.

Neither HTTP nor Singer messages nor settings must come in: a schema says what a record is.
"""
