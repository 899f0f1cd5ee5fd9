"""The settings: read once, checked together, and handed to each part as a small policy.

`settings` lists all settings, `forms` parses them, `secret_files` reads those that are in files, and `policies` turns
them into the policy of each part.
"""
