"""The engine of all experiments: designs, trials, the scheduler, tables and plots."""
