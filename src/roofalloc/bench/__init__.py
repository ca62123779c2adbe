"""Solver variants side by side: run them, judge what they answer, measure and compare."""
