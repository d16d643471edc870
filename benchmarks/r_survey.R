# Calibrates by the survey package (Lumley 2004, Journal of Statistical Software 9 (8)).
# Rscript r_survey.R FOLDER METHOD reads the files that r_survey.py wrote there, and writes weights and cost.

suppressPackageStartupMessages(library(survey))
arguments <- commandArgs(trailingOnly = TRUE)
at <- function(name) file.path(arguments[1], name)
reals <- function(name) readBin(at(name), "double", file.size(at(name)) / 8)
whole <- function(name) readBin(at(name), "integer", file.size(at(name)) / 4)
weight <- reals("weight")
values <- reals("values")

if (arguments[2] == "rake") {
  cells <- matrix(whole("cells"), nrow = length(weight))
  names <- paste0("margin", seq_len(ncol(cells)))
  data <- as.data.frame(cells)
  names(data) <- names
  population <- lapply(names, function(name) {
    margin <- data.frame(sort(unique(data[[name]])))
    names(margin) <- name
    margin$Freq <- values[margin[[name]]]
    margin
  })
  design <- svydesign(ids = ~1, weights = ~weight, data = data)
  solve_it <- function() {
    rake(design, lapply(names, reformulate), population, control = list(maxit = 10000, epsilon = 1e-12))
  }
} else {
  data <- matrix(0, length(weight), length(values))
  data[cbind(whole("columns"), whole("rows"))] <- reals("entries")
  data <- as.data.frame(data)
  names(data) <- paste0("x", seq_along(values))
  names(values) <- names(data)
  terms <- reformulate(names(data), intercept = FALSE)
  design <- svydesign(ids = ~1, weights = ~weight, data = data)
  bounds <- list(linear = c(0, Inf), raking = c(0, Inf), logit = c(0.1, 10))[[arguments[2]]]
  solve_it <- function() {
    calibrate(
      design, terms, values, calfun = arguments[2], bounds = bounds, maxit = 200, epsilon = 1e-11
    )
  }
}
timed <- function(times) {
  before <- proc.time()
  for (k in seq_len(times)) done <<- tryCatch(solve_it(), error = function(problem) problem)
  sum((proc.time() - before)[c("user.self", "sys.self")]) / times
}
cost <- timed(1)
if (cost < 0.2) cost <- timed(20) # as in calibration_runs.py
status <- readLines("/proc/self/status")
peak <- as.numeric(gsub("[^0-9]", "", status[startsWith(status, "VmHWM")])) / 1024
writeBin(c(cost, peak), at("cost"))
if (inherits(done, "error")) stop(conditionMessage(done))
writeBin(as.numeric(weights(done)), at("result"))
