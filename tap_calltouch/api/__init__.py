"""What asks Calltouch belongs here: dates and windows, parameters, calls of the API, whole answers.

Nothing of Singer must come in: no catalog, no message, no bookmark, and of records only where one
ends and the next begins.
"""
