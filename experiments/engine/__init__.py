"""What all experiments share: designs, trials, the scheduler, tables and plots."""
