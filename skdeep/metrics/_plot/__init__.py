"""Pictures of scores and of what models found; matplotlib is imported when one is drawn."""
