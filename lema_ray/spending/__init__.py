"""What a run asks of endpoints and what that costs: limits, prices, budgets, and a log of everything paid for."""
