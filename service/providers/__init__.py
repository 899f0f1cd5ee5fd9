"""The providers that carry messages, one package each. `service.core.sender` says what a provider offers."""
