"""How a model corrects itself: doubts in a text, the trace of one solution, measures over many."""
