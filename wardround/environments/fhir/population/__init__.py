"""Synthetic patients with coherent records over years, drawn from the knowledge base and the same for a seed."""

from wardround.environments.fhir.population.generate import NOW, generate

__all__ = ["NOW", "generate"]
