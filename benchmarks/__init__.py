"""Measures this tap beside a plain SDK tap and beside what msgspec can do without the SDK."""
