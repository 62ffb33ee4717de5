"""The secret that both servers keep: five fields under one name."""

NAME = "shop/db"
FIELDS = {
    "host": "db.internal.example",
    "port": "5432",
    "database": "shop",
    "username": "shop_reader",
    "password": "correct-horse-battery-staple-1",
}
