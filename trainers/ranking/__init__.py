"""Training of the ranking model: plain, weighted, by RMTL, on several workers."""
