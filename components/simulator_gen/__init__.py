"""SimulatorGen: a world of simulated users, from a log and a ranking model."""
