"""Scores of a model on questions, with intervals, from streamed counts; comparisons; answers that exist already."""
