"""Turn a plan into offers: arms, propensities, codes, and a file for every channel."""
