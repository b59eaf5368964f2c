"""The kit of all reports: pages, tables, numbers and figures that look alike."""
