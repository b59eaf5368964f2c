"""What an agent sees at a step of the session MDP: a dictionary with these keys."""

#: The impression's features, by name; what the state is made of.
FEATURES = "features"
#: Labels of the step before, float32 `[task]`; no policy looks at them.
FEEDBACK = "feedback"
