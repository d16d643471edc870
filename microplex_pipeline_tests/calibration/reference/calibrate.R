# Rscript calibrate.R FOLDER: weights of Rhode Island by the survey package, called by make.py.
# The margins leave out one category each: unbounded linear calibration takes no redundant constraint.

suppressPackageStartupMessages(library(survey))
folder <- commandArgs(trailingOnly = TRUE)[1]
records <- read.csv(file.path(folder, "records.csv"))
targets <- read.csv(file.path(folder, "targets.csv"))
population <- setNames(targets$value, targets$column)
design <- svydesign(ids = ~1, weights = ~weight, data = records)
terms <- reformulate(targets$column, intercept = FALSE)
solve_it <- function(calfun, bounds) {
  calibrated <- calibrate(
    design, terms, population, calfun = calfun, bounds = bounds, epsilon = 1e-13, maxit = 500
  )
  weights(calibrated)
}
result <- data.frame(
  linear = solve_it("linear", c(-Inf, Inf)),
  linear_bounded = solve_it("linear", c(0.75, 1.6)),
  raking = solve_it("raking", c(0, Inf)),
  logit = solve_it("logit", c(0.5, 2))
)
result[] <- lapply(result, function(column) sprintf("%.17g", column))
write.csv(result, file.path(folder, "result.csv"), row.names = FALSE, quote = FALSE)
cat(R.version.string, "survey", as.character(packageVersion("survey")), "\n")
