"""The settings: read once, validated together, and passed to each part as a small policy.

`settings` lists all settings; `forms`, `number_forms` and `web_addresses` parse their values; `refusals` writes their
errors; `env_file` reads `.env`; `secret_files` reads secrets in files; `policies` builds the policies.
"""
