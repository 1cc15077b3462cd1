"""Singer tap for the Calltouch journals of requests and calls."""
