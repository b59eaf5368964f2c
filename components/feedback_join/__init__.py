"""The join of logs of served requests with the feedback that arrived later."""
