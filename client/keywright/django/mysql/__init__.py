"""ENGINE = "keywright.django.mysql"."""
