"""What weights must add up to: the table of targets, where they come from, the rows they constrain."""
