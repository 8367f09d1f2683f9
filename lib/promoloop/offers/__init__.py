"""Offers: the forms and their rules, what an offer costs, and how users respond to one."""
