"""The science: trades, sessions, moving averages, bars, and the plans of compaction.

Pure functions and frozen values, standard library only. No clients, no files, no environment, no clock:
whatever depends on those takes the result as an argument.
"""
