"""Who speaks when: the LangGraph state machine of a consult. Nothing else knows LangGraph."""
