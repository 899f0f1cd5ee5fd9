"""The settings: read once, checked together, and handed to each part as a small policy.

`settings` lists them all, `forms` says how each is written, `secret_files` reads those that stand in files, and
`policies` makes from them what the parts receive.
"""
