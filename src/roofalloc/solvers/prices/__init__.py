"""Prices first: the engine that exploits what couples roofs and villages: few prices."""
