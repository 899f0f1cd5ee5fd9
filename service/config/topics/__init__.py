"""The fields of the settings, one module for each topic; `config.settings` joins them to one `Settings`."""
