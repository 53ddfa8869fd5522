"""Measures of predicted labels against the truth, and pictures of both."""
