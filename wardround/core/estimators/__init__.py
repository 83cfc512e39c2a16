"""Estimators of how uncertain an answer is, from several answers to one question.

Each takes `samples.Samples` and returns a `samples.Estimate` in [0, 1], higher being worse, or nothing where what
it needs was not given. None is calibrated: they rank answers, and become probabilities only after a fit on labelled
cases. Formulas after the papers named in each module; where a published score has no bounds, its bounded form is our
own and says so.
"""
