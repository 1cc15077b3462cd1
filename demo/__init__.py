"""The demo: loads a year of calls and requests from a local API, and shows the leads."""
