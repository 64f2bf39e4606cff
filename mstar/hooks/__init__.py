"""Hook points: named places of the forward pass that can be heard, recorded and changed.

`points` is the table, `run` who listens, `record` and `trace` what is kept, `interventions` what
can be changed. The room knows no model: whatever has points can be heard.
"""
