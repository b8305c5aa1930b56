"""Pictures of threshold consistency; matplotlib is imported when one is drawn."""
