"""An importer without requests: claims keys of a ledger together with others like it, until each of them is created.

It is told by lines of JSON on its standard input, ``[url, location_id, keys, seed, first_record]``, and answers each
with a line: how often it became the one who sends a key, and how often it let go of it.
"""

from __future__ import annotations

import json
import random
import sys
from collections import Counter

from altegio_provider.imports.ledger.ledger import Intent, Ledger


def work(url, location_id, keys, seed, first_record):
    """Claim, send some, let go of some, until every key is created; return what was claimed and what let go of."""
    chance = random.Random(seed)
    records = iter(range(first_record, first_record + 10_000))
    claimed, freed = Counter(), Counter()
    waiting, under_way = list(keys), []
    with Ledger(url, location_id, "booking") as ledger:
        while waiting or under_way:
            chance.shuffle(waiting)
            batch = waiting[: chance.randint(1, 4)]
            back = [key for key in under_way if chance.random() < 0.7]
            refused = [key for key in back if chance.random() < 0.2]
            created = {key: next(records) for key in back if key not in refused}

            def turn(session, batch=batch, refused=refused, created=created):
                claims = session.claim({key: Intent(5, key) for key in batch})
                assert session.record_created(created, {key: Intent(5, key) for key in created}) == {}
                session.release(*refused)
                return claims

            claims = ledger.transact(turn)
            freed.update(refused)
            mine = [key for key in batch if claims[key].state == "mine"]
            claimed.update(mine)
            under_way = [key for key in under_way if key not in back] + mine
            over = {key for key in batch if claims[key].state in ("mine", "created")}
            waiting = [key for key in waiting if key not in over] + refused
    return claimed, freed


for line in sys.stdin:
    sys.stdout.write(json.dumps(work(*json.loads(line))) + "\n")
    sys.stdout.flush()
