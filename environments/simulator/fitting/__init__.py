"""What builds a world from a log: its items, users and responses."""
