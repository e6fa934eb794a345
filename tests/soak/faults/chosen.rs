//! The choice of the matrix that everybody runs: a fault over a step of each day, of every API and most kinds.
