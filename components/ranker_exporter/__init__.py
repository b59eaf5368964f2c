"""RankerExporter: a ranking model and a fusion policy as one SavedModel."""
