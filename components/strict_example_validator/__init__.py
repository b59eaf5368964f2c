"""StrictExampleValidator: anomalies stop the run."""
