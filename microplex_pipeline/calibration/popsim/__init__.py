"""PopulationSim's files: its settings, controls and seeds are read as they are, its outputs written alike."""
