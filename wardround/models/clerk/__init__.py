"""The clerk: how the reference model works on a record. It reads the conversation and nothing else.

From the task's words follows what is wanted (`understanding`), from that and from what the record answered
the next step (`work`), and from the step a message of the protocol at hand (`speech`).
"""
