"""Statistics of a trial on live traffic, valid at every look."""
