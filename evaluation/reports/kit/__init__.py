"""What all reports are made of: pages, tables, numbers and figures that look alike."""
