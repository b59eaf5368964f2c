"""Statistics of a trial on live traffic: valid whenever somebody looks."""
