"""Access: may this subject do this to that? Policies in Cedar, their versions, and every decision with its reasons.

Owns policies and their activation, the entities that policies look at, decisions and their replay, and AuthZEN 1.0.
Does not own people (broker.directory), clients and applications (broker.registry), or who may call (broker.tokens).
A question walks views -> services.decide -> slices (our entities) -> policy (the engine) -> one Decision row.
"""
