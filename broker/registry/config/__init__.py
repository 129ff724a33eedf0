"""Configuration sections: how each kind of party stands in the YAML file.

Owns one file per section (what its keys mean, how a registered party is written back) and the value types that
they share with hooks of other rooms (`base`). Does not own the file itself, the plan and its application
(broker.operations.configuration), nor the writing of parties (registry.registering).
"""
