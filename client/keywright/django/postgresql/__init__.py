"""ENGINE = "keywright.django.postgresql"."""
