//! Documents a second into one copy: parse, translog, search index, with a sync per bulk and a
//! refresh at the end.

use std::hint::black_box;
use std::sync::Arc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use ringwall_base::{AllocationId, IndexId, ShardId};
use ringwall_index::{
    Condition, Mapping, NewShard, Shard, ShardIdentity, ShardOptions, parse_document,
};
use serde_json::json;
use tempfile::TempDir;

const DOCUMENTS: u64 = 10_000;
const BULK: usize = 500;

fn open(directory: &TempDir) -> Shard {
    let mapping = json!({"properties": {
        "title": {"type": "text"},
        "tag": {"type": "keyword"},
        "count": {"type": "long"},
        "at": {"type": "date"},
    }});
    let mapping = Mapping::parse(&mapping).expect("a mapping");
    let identity = ShardIdentity {
        shard: ShardId {
            index: IndexId {
                name: "bench".into(),
                uuid: "bench".into(),
            },
            shard: 0,
        },
        allocation_id: AllocationId("bench".into()),
        lineage: Vec::new(),
        history_uuid: "bench".into(),
        primary_term: 1,
    };
    Shard::create(directory.path(), NewShard { identity }, &mapping).expect("a new copy");
    Shard::open(directory.path(), Arc::new(mapping), ShardOptions::default()).expect("an open copy")
}

fn sources() -> Vec<Bytes> {
    (0..DOCUMENTS)
        .map(|n| {
            let (tag, at) = (n % 100, 1_700_000_000_000 + n);
            let source = format!(
                r#"{{"title":"the quick brown fox number {n}","tag":"t{tag}","count":{n},"at":{at}}}"#
            );
            Bytes::from(source)
        })
        .collect()
}

fn index_all(shard: &Shard, sources: &[Bytes], new_ids: bool) {
    let mapping = shard.mapping();
    for (bulk, sources) in sources.chunks(BULK).enumerate() {
        for (n, source) in sources.iter().enumerate() {
            let id = format!("id-{bulk}-{n}");
            let document = parse_document(&mapping, &id, None, source.clone()).expect("a document");
            let applied = shard.index(1, document, Condition::default(), new_ids);
            black_box(applied.expect("an indexed document"));
        }
        shard.sync().expect("a sync");
    }
    shard.refresh().expect("a refresh");
}

fn bulk(criterion: &mut Criterion) {
    let sources = sources();
    let mut group = criterion.benchmark_group("bulk");
    group
        .throughput(Throughput::Elements(DOCUMENTS))
        .sample_size(10);
    for (name, new_ids) in [("new ids", true), ("given ids", false)] {
        group.bench_function(name, |bencher| {
            bencher.iter_batched(
                || {
                    let directory = TempDir::new().expect("a directory");
                    (open(&directory), directory)
                },
                |(shard, directory)| {
                    index_all(&shard, &sources, new_ids);
                    (shard, directory)
                },
                BatchSize::PerIteration,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, bulk);
criterion_main!(benches);
