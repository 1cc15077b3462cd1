"""The demo: loads a year of requests from a local API, and shows them."""
