//! What matching a name costs: everyday patterns, and those made to be costly.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use ringwall_base::glob::{Syntax, matches};

fn glob(criterion: &mut Criterion) {
    let text = "a".repeat(4096);
    let cases = [
        (
            "index_name",
            "logs-*-2024.*".to_owned(),
            "logs-app-2024.01.01",
        ),
        ("stars", "*".repeat(4096) + "!", text.as_str()),
        ("parts", "*a".repeat(2048) + "b", text.as_str()),
        (
            "near_misses",
            format!("*{}b*", "a".repeat(2048)),
            text.as_str(),
        ),
        ("marks", format!("*{}?b*", "a".repeat(2048)), text.as_str()),
    ];
    let mut group = criterion.benchmark_group("glob");
    for (name, pattern, text) in &cases {
        group.throughput(Throughput::Bytes((pattern.len() + text.len()) as u64));
        group.bench_function(*name, |bencher| {
            bencher.iter(|| matches(black_box(pattern), black_box(text), Syntax::Wildcard));
        });
    }
    group.finish();
}

criterion_group!(benches, glob);
criterion_main!(benches);
