"""The SDK's work on records and messages belongs here, done faster: maps, flattening, lines, files.

Nothing of Calltouch must come in: journals, windows, names of fields.
"""
