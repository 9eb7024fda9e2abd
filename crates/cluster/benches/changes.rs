//! What one change of the cluster state costs a node when the state is large: a clone, the change, and the end of the state
//! before.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use ringwall_cluster::command::RULES;
use ringwall_cluster::{Change, ClusterState, Command};
use serde_json::json;

fn command(seed: usize, change: Change) -> Command {
    Command {
        now_ms: 1_700_000_000_000,
        seed: format!("seed-{seed}"),
        rules: RULES,
        change,
    }
}

fn key(number: usize) -> Change {
    let role =
        json!({"cluster": ["monitor"], "indices": [{"names": ["logs-*"], "privileges": ["read"]}]});
    let key = json!({
        "info": {
            "id": format!("key-{number:016}"),
            "name": "bench",
            "creation_ms": 1,
            "expiration_ms": null,
            "invalidation_ms": null,
            "role_descriptors": {"role": role},
            "limited_by": {"role": role},
            "metadata": {},
            "owner": {"principal": "ann", "realm": {"name": "native", "type": "native"}, "full_name": null, "email": null, "metadata": {}},
        },
        "hash": "{SSHA256}0000000000000000000000000000000000000000000000000000000000000000",
    });
    Change::PutApiKey {
        key: Box::new(serde_json::from_value(key).unwrap()),
        retention_ms: 1,
        limit: 1_000_000,
    }
}

fn changes(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("changes");
    for present in [0, 10_000, 100_000] {
        let mut state = ClusterState::default();
        for number in 0..present {
            assert!(state.apply(command(number, key(number))).result.is_ok());
        }
        let mut next = present;
        group.bench_function(format!("an API key beside {present}"), |bencher| {
            bencher.iter(|| {
                let mut changed = state.clone();
                changed.apply(command(next, key(next)));
                next += 1;
                state = black_box(changed);
            });
        });
    }
    group.finish();
}

criterion_group!(benches, changes);
criterion_main!(benches);
