"""What offers changed: effects of randomised arms, values of policies, ranking, calibration; associations where nothing was drawn."""
