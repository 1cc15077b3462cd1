"""Pages for users, and the code that generates what repeats the settings and the schemas."""
