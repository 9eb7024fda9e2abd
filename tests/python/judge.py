"""Uses the official Elasticsearch client as an application would, and checks every answer."""

import json
import sys

import elasticsearch
from elasticsearch import ConflictError, Elasticsearch, NotFoundError, AuthenticationException, helpers

DOCUMENTS = 10_000
COLOURS = ["red", "green", "blue", "yellow"]


def documents(index):
    for number in range(DOCUMENTS):
        yield {
            "_index": index,
            "_id": str(number),
            "_source": {
                "number": number,
                "colour": COLOURS[number % len(COLOURS)],
                "text": f"document number {number} says {'hello' if number % 10 == 0 else 'goodbye'}",
                "day": f"2024-{number % 12 + 1:02}-15T12:00:00Z",
            },
        }


def expect(what, found, wanted):
    if found != wanted:
        raise SystemExit(f"FAILED: {what}: expected {wanted!r}, got {found!r}")


def main():
    with open(sys.argv[1]) as file:
        cluster = json.load(file)
    hosts = [node["http"] for node in cluster["nodes"]]
    login = (cluster["username"], cluster["password"])
    client = Elasticsearch(hosts, ca_certs=cluster["ca"], basic_auth=login)
    print(f"elasticsearch-py {elasticsearch.__versionstr__}: {client.info()['cluster_name']}")
    expect("user", client.security.authenticate()["username"], "elastic")
    expect("health", client.cluster.health(wait_for_status="green")["status"], "green")

    index = "judge"
    client.indices.delete(index=index, ignore_unavailable=True)
    client.indices.create(
        index=index,
        settings={"number_of_shards": 3, "number_of_replicas": 1},
        mappings={"properties": {
            "number": {"type": "long"}, "colour": {"type": "keyword"}, "text": {"type": "text"},
            "day": {"type": "date"}}},
    )
    expect("exists", bool(client.indices.exists(index=index)), True)
    written, errors = helpers.bulk(client, documents(index), chunk_size=1000)
    expect("bulk", (written, errors), (DOCUMENTS, []))
    client.indices.refresh(index=index)
    expect("count", client.count(index=index)["count"], DOCUMENTS)

    found = client.search(index=index, query={"match": {"text": "hello"}}, track_total_hits=True, size=5)
    expect("match", found["hits"]["total"], {"value": DOCUMENTS // 10, "relation": "eq"})
    expect("hits", len(found["hits"]["hits"]), 5)
    found = client.search(
        index=index, sort=[{"number": "desc"}], size=3, source=["number"],
        query={"bool": {"filter": [{"term": {"colour": "red"}}, {"range": {"number": {"lt": 100}}}]}})
    expect("sorted", [hit["_source"] for hit in found["hits"]["hits"]],
           [{"number": 96}, {"number": 92}, {"number": 88}])
    after = found["hits"]["hits"][-1]["sort"]
    found = client.search(
        index=index, sort=[{"number": "desc"}], size=1, search_after=after,
        query={"term": {"colour": "red"}})
    expect("search_after", found["hits"]["hits"][0]["_id"], "84")
    found = client.search(index=index, size=0, aggs={
        "colours": {"terms": {"field": "colour"}, "aggs": {"numbers": {"stats": {"field": "number"}}}},
        "months": {"date_histogram": {"field": "day", "calendar_interval": "month"}},
    })["aggregations"]
    expect("terms", {bucket["key"]: bucket["doc_count"] for bucket in found["colours"]["buckets"]},
           {colour: DOCUMENTS // 4 for colour in COLOURS})
    expect("stats", [bucket["numbers"]["min"] for bucket in sorted(found["colours"]["buckets"],
           key=lambda bucket: COLOURS.index(bucket["key"]))], [0.0, 1.0, 2.0, 3.0])
    expect("date_histogram", len(found["months"]["buckets"]), 12)

    document = client.get(index=index, id="7")
    expect("get", (document["_source"]["number"], document["_version"]), (7, 1))
    updated = client.update(index=index, id="7", doc={"colour": "black"}, refresh=True)
    expect("update", updated["result"], "updated")
    expect("updated", client.search(index=index, query={"term": {"colour": "black"}})["hits"]["total"]["value"], 1)
    try:
        client.index(index=index, id="7", document={"number": 0}, if_primary_term=document["_primary_term"],
                     if_seq_no=document["_seq_no"])
        raise SystemExit("FAILED: a stale write went through")
    except ConflictError:
        pass
    expect("mget", [doc["found"] for doc in client.mget(index=index, ids=["1", "none"])["docs"]], [True, False])
    expect("delete", client.delete(index=index, id="7", refresh="wait_for")["result"], "deleted")
    try:
        client.get(index=index, id="7")
        raise SystemExit("FAILED: a deleted document is found")
    except NotFoundError:
        pass
    expect("count after delete", client.count(index=index)["count"], DOCUMENTS - 1)

    client.security.put_user(username="jane", password="jane-password", roles=["viewer"])
    jane = Elasticsearch(hosts, ca_certs=cluster["ca"], basic_auth=("jane", "jane-password"))
    expect("viewer reads", jane.count(index=index)["count"], DOCUMENTS - 1)
    try:
        jane.index(index=index, document={"number": 1})
        raise SystemExit("FAILED: a viewer writes")
    except elasticsearch.AuthorizationException:
        pass
    client.security.delete_user(username="jane")
    try:
        jane.count(index=index)
        raise SystemExit("FAILED: a deleted user is let in")
    except AuthenticationException:
        pass
    expect("cat", len(client.cat.nodes(format="json").body), len(cluster["nodes"]))
    client.indices.delete(index=index)
    expect("deleted", bool(client.indices.exists(index=index)), False)
    print("passed")


main()
