"""`python -m service` is `otp-service`."""

from service.cli import main

main()
