"""What turns the bytes of an answer into clean records belongs here.

Neither HTTP nor Singer messages must come in, nor settings: what a record is, a schema says.
"""
