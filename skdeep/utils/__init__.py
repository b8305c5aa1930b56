"""Private helpers of the estimators: parameter rules, data entry, torch plumbing."""
