"""PolicySearch: a fusion policy that is searched for in the simulator."""
