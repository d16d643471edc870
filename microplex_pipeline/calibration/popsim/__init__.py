"""PopulationSim's files: its settings, controls and seeds are read as they are, its outputs written alike."""

from microplex_pipeline.calibration.popsim.folder import PopsimFolder, read_popsim
from microplex_pipeline.calibration.popsim.outputs import write_population
from microplex_pipeline.calibration.popsim.populate import PopsimPopulation, populate, total_error

__all__ = [
    "PopsimFolder",
    "PopsimPopulation",
    "populate",
    "read_popsim",
    "total_error",
    "write_population",
]
