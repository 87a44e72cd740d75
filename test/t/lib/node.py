"""A node of a small service, of release 41 or 42: node.py CONNINFO RELEASE FIRST_STEP

Waits until the database says that its release may work, and then books amounts on items until it is told
otherwise.  With FIRST_STEP "rash" it does not ask.  Release 41 keeps whole
units in items.price, release 42 cents in items.cents.

It reads commands, a line each: hang (stay in a transaction), go on (end it), stop.
It prints: waiting REASON, ready, hanging, and at its end: refused SQLSTATE, failed SQLSTATE, or stopped; then BOOKED FAILED.
"""

import random
import select
import sys
import time

import psycopg2
from sqlalchemy import BigInteger, Column, Integer, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.orm import Session, declarative_base

CONNINFO, RELEASE, FIRST_STEP = sys.argv[1], int(sys.argv[2]), sys.argv[3]
ITEMS = 500
REFUSED = ("55T01", "55T02", "55T03")
Base = declarative_base()


class Item(Base):
    __tablename__ = "items"
    id = Column(Integer, primary_key=True)
    if RELEASE < 42:
        price = Column(Integer)
    else:
        cents = Column(BigInteger)

    def book(self, amount):
        if RELEASE < 42:
            self.price += amount
        else:
            self.cents += 100 * amount


class Booking(Base):
    __tablename__ = "bookings"
    id = Column(Integer, primary_key=True)
    release = Column(Integer)
    amount = Column(Integer)


def connect():
    return psycopg2.connect(
        CONNINFO, options=f"-ctandem.release={RELEASE}", application_name=f"node {RELEASE}"
    )


def say(*words):
    print(*words, flush=True)


def command():
    """The next command, or nothing."""
    if select.select([sys.stdin], [], [], 0)[0]:
        return sys.stdin.readline().strip() or "stop"
    return ""


def wait_until_healthy():
    # not through the engine: at its first connection it asks more than a node may that is not served
    said = None
    connection = connect()
    connection.autocommit = True
    cursor = connection.cursor()
    while True:
        cursor.execute("SELECT healthy, reason FROM tandem.health(%s)", (RELEASE,))
        healthy, reason = cursor.fetchone()
        if healthy:
            connection.close()
            return True
        if reason != said:
            say("waiting", reason)
            said = reason
        if command() == "stop":
            return False
        time.sleep(0.05)


def book(engine, hangs):
    amount = random.randint(-5, 9)
    with Session(engine) as session, session.begin():
        item = session.get(Item, random.randint(1, ITEMS), with_for_update=True)
        item.book(amount)
        session.add(Booking(release=RELEASE, amount=amount))
        if hangs:
            session.flush()
            say("hanging")
            sys.stdin.readline()


def work(engine):
    booked = failed = 0
    end = "stopped"
    while True:
        order = command()
        if order == "stop":
            break
        try:
            book(engine, order == "hang")
            booked += 1
        except DBAPIError as error:
            state = getattr(error.orig, "pgcode", None)
            if state in REFUSED:
                end = f"refused {state}"
                break
            failed += 1
            end = f"failed {state}"
            print(error, file=sys.stderr, flush=True)
            break
        time.sleep(0.04)
    say(end, booked, failed)


def main():
    engine = create_engine("postgresql+psycopg2://", creator=connect)
    if FIRST_STEP == "rash" or wait_until_healthy():
        say("ready")
        work(engine)
    else:
        say("stopped", 0, 0)


main()
