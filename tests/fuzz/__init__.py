"""Random calls of the operators, compared with the reference: a call is a function of its seed alone."""
