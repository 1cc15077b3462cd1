"""The SDK's work on records and messages, done faster, belongs here: maps, flattening, files, lines.

Nothing of Calltouch must come in: journals, windows, names of fields.
"""
