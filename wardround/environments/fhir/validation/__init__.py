"""What a resource must be like: structure by table and by typed models, codes, references, invariants."""
