"""Writes pending codes through the model of django-phone-verify and prints the body of each right check, one a line.

    python make_pending.py FIRST COUNT

They use the numbers FIRST, FIRST + 1 and so on of San Francisco. The table is created if it is missing, with an index
that the library lacks: it looks up number and session, and without an index each check would read the whole table.
"""

import json
import sys

import django
from django.core.management import call_command
from django.db import connection

EXCHANGES = [exchange for exchange in range(201, 990) if exchange % 100 != 11]
INDEX = "CREATE INDEX IF NOT EXISTS bench ON sms_verification (phone_number, session_token)"


def main():
    """Make the table, the codes and the bodies."""
    django.setup()
    call_command("migrate", verbosity=0)
    with connection.cursor() as cursor:
        cursor.execute(INDEX)
    first, count = map(int, sys.argv[1:])
    for row in write(first, count):
        names = ("phone_number", "security_code", "session_token")
        print(json.dumps({name: str(getattr(row, name)) for name in names}))


def write(first, count):
    """Write this many codes as the library itself does, but in few transactions; return the rows."""
    from phone_verify.models import SMSVerification
    from silent import SilentBackend

    backend = SilentBackend()
    numbers = [f"+1415{EXCHANGES[i // 10_000]}{i % 10_000:04d}" for i in range(first, first + count)]
    rows = [
        SMSVerification(
            phone_number=number,
            security_code=backend.generate_security_code(),
            session_token=backend.generate_session_token(number),
        )
        for number in numbers
    ]
    return SMSVerification.objects.bulk_create(rows, batch_size=500)


if __name__ == "__main__":
    main()
