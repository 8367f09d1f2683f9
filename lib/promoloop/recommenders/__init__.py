"""Step D, recommenders: candidates by several sources, ranked, explained; see docs/recommenders.md."""
