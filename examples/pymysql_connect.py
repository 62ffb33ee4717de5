"""PyMySQL, for MySQL and MariaDB."""

from keywright import Client
from keywright.pymysql import connect

with connect(Client(), "shop/mariadb") as connection, connection.cursor() as cursor:
    cursor.execute("SELECT current_user")
    print("served as", *cursor.fetchone())
