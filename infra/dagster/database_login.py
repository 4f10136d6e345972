"""Let Dagster's database user log in with the role of its task, once: what runs before Dagster in each service's task.

RDS changes the password every seven days, and a container keeps what it got at its start. A login by IAM token has no
password. Who has the role rds_iam can't log in with a password any more, so the token is tried first:
https://docs.aws.amazon.com/AmazonRDS/latest/UserGuide/UsingWithRDS.IAMDBAuth.DBAccounts.html
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

Connect = Callable[[str], Any]
"""Opens a connection with a password, which may be a token. Raises `psycopg2.OperationalError`."""


def allow_tokens(connect: Connect, token: str, password: str) -> str:
    """Make sure that a login by token works, and return what was done.

    Raises `psycopg2.OperationalError` if neither token nor password is taken.
    """
    import psycopg2

    try:
        connect(token).close()
    except psycopg2.OperationalError as refused:
        try:
            connection = connect(password)
        except psycopg2.OperationalError as also_refused:
            raise also_refused from refused
        with connection, connection.cursor() as cursor:
            cursor.execute("GRANT rds_iam TO CURRENT_USER")
        connection.close()
        return "the database takes tokens from now on"
    return "the database takes tokens"


def main(environ: Mapping[str, str]) -> int:
    import boto3
    import psycopg2

    host, user = environ["DAGSTER_POSTGRES_HOST"], environ["DAGSTER_POSTGRES_USER"]
    rds = boto3.client("rds", region_name=environ["AWS_REGION"])
    token = rds.generate_db_auth_token(DBHostname=host, Port=5432, DBUsername=user)

    def connect(password: str) -> Any:
        return psycopg2.connect(
            host=host,
            port=5432,
            dbname=environ["DAGSTER_POSTGRES_DB"],
            user=user,
            password=password,
            sslmode="verify-full",
            sslrootcert=environ["DAGSTER_POSTGRES_CA"],
            connect_timeout=10,
        )

    try:
        print(allow_tokens(connect, token, json.loads(environ["DATABASE_LOGIN"])["password"]))
    except psycopg2.OperationalError as error:
        # what libpq says names host and user, never the password
        print(f"the database refuses token and password: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main(os.environ))
