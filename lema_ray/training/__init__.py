"""One worker's fine-tuning: labels from spans, tokenized rows, the loop, and the model it leaves."""
