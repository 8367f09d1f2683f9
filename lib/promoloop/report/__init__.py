"""The report: small, k-anonymous facts drawn from the tables, and one self-contained HTML page of them."""
