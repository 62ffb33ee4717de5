"""Django's databases with Keywright's credentials: `pip install keywright[django]` and a driver.

DATABASES = {"default": {"ENGINE": "keywright.django.postgresql", "OPTIONS": {"keywright": "shop/db"}}}

ENGINE is `keywright.django.postgresql` (psycopg) or `keywright.django.mysql` (PyMySQL as MySQLdb). What the
settings name stays (NAME, HOST and PORT, other OPTIONS); user and password are Keywright's. The client is discovered
from the process environment, one for each process.

A persistent connection (CONN_MAX_AGE) whose login was replaced goes between two requests. Django's own pool (OPTIONS
`pool`) keeps one user and password for ever, so it is refused.
"""
