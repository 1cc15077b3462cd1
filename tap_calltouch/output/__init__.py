"""What the SDK does to records and messages, faster, belongs here: maps, flattening, files, lines.

Nothing of Calltouch must come in: no journal, no window, no name of a field.
"""
