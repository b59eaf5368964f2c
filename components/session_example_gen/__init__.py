"""SessionExampleGen: a recommender's raw logs to session examples."""
