"""Django: ENGINE and OPTIONS. A project has DATABASES in its settings; here they are all there is."""

import django
from django.conf import settings
from django.db import connections

settings.configure(
    DATABASES={
        "default": {"ENGINE": "keywright.django.postgresql", "OPTIONS": {"keywright": "shop/db"}},
        "stock": {"ENGINE": "keywright.django.mysql", "OPTIONS": {"keywright": "shop/mariadb"}, "CONN_MAX_AGE": 60},
    }
)
django.setup()

for alias in ("default", "stock"):
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT current_user")
        print(alias, "served as", *cursor.fetchone())
connections.close_all()
