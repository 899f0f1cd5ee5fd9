"""Django with django-phone-verify as its page on security recommends it, without anything else that slows down a check.

Six digits, ten minutes, each code once; no middleware, no authentication (its view has none), JSON only; the database
is SQLite with a write-ahead log that is not flushed at each commit, over connections that stay open.
"""

import os

SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
ALLOWED_HOSTS = ["127.0.0.1"]
INSTALLED_APPS = ["phone_verify"]
ROOT_URLCONF = "phone_verify.urls"
USE_TZ = True
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ["DATABASE_FILE"],
        "CONN_MAX_AGE": None,
        "OPTIONS": {"timeout": 5, "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;"},
    }
}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "UNAUTHENTICATED_USER": None,
}
PHONE_VERIFICATION = {
    "BACKEND": "silent.SilentBackend",
    "OPTIONS": {},
    "TOKEN_LENGTH": 6,
    "MESSAGE": "Your {app} code is {security_code}.",
    "APP_NAME": "Acme",
    "SECURITY_CODE_EXPIRATION_SECONDS": 600,
    "VERIFY_SECURITY_CODE_ONLY_ONCE": True,
}
