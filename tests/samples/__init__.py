"""The sample photographs: scenes as data, and a path tracer that makes images of them.

`python -m tests.samples OUT` needs `bpy`, which no other part of the project does; the scene table
and the labels that follow from it (`plan`, `scenes`, `labels`) need nothing but the project.
"""
