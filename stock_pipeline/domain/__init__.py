"""The science: trades, sessions, moving averages, bars, and plans.

Pure functions and frozen values, standard library only. Clients, files, environment and clock do not belong here: their
results come in as arguments.
"""
