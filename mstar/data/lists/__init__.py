"""What training reads: lists of annotated photographs, rendered scenes, and mixtures of both.

`stream` makes one endless row of items of them. Nothing here knows a model or how it is trained.
"""
