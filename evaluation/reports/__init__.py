"""Reports of runs for people: pages, tables and figures."""
