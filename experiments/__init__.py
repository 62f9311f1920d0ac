"""Recipes that join stimuli, networks and brains; the command line; the report."""
