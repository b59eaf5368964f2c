"""One command per table or figure of the papers."""
