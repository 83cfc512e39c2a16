"""Chat models behind LangChain's `BaseChatModel`, and how an answer of a given shape is got from one."""
