"""PolicyEvaluator: off-policy estimates, the simulator's truth, and a blessing for the Pusher."""
