"""What a run will ask for and cost, before anything is spent."""
