"""Asking Calltouch belongs here: dates and windows, parameters, API calls, whole answers.

Nothing of Singer must come in (catalogs, messages, bookmarks), nor what a record holds.
"""
