"""Programs beside a served ranker. Nothing here needs the packages that trained it."""
