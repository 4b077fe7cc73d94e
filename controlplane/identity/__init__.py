"""Who calls: accounts, their users, and the API keys that speak for them."""
