"""Singer tap for the Calltouch requests journal."""
