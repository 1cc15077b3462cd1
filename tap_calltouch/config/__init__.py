"""The user's words belong here: settings and their checks, files of the command line, the state.

Nothing that asks the API, reads records or writes output must come in.
"""
