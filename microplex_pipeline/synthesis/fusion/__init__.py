"""Statistical matching: one survey's targets for another's rows."""
