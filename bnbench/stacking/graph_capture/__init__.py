"""Steps and evaluations of a stack that are recorded once on a GPU and played back without Python."""
