"""What people read of a run: pages, tables and figures."""
