"""What a log means and how it is read."""
