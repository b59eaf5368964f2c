"""SessionFlattener: session examples to one example per impression."""
