"""MedAgentBench: tasks over a patient's record, graded as published and by the state that is left behind.

The tasks are read from the published files by path; none of them is part of this package. What the published
graders do, including their defects, is `compat`; what a task asks for in substance is `state`.
"""
