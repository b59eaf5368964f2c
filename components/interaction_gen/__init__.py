"""InteractionGen: simulated or served interactions to transition examples."""
