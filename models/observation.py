"""What an agent sees at a step: a dictionary with these keys."""

# Of the session MDP, in which a ranking model acts.

#: The impression's features, by name; what the state is made of.
FEATURES = "features"
#: Labels of the step before, float32 `[task]`; no policy looks at them.
FEEDBACK = "feedback"

# Of the fusion MDP, where an agent learns from the candidates too.
#: float32 `[state]`.
STATE = "state"
#: Of the request's candidates, float32 `[candidate, prediction]`.
PREDICTIONS = "predictions"
#: False where there is no candidate, bool `[candidate]`.
MASK = "mask"
