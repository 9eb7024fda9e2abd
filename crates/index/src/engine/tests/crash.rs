//! What was synced survives a crash.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    /// A crash at any moment, with any part of what was not synced lost.
    #[test]
    fn what_was_synced_survives_a_crash(
        (history, order, refreshes) in shuffled(),
        synced in any::<prop::sample::Index>(),
        lost in any::<prop::sample::Index>(),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shard");
        let shard = create(&path);
        let synced = synced.index(order.len());
        let mut durable = 0;
        for (position, index) in order.iter().enumerate() {
            shard.apply(&history[*index]).unwrap();
            if refreshes[position] {
                shard.refresh().unwrap();
            }
            if position == synced {
                shard.sync().unwrap();
            }
            // A commit syncs too.
            if position == synced || refreshes[position] {
                durable = last_generation(&path).1;
            }
        }
        let crashed = dir.path().join("crashed");
        copy_dir(&path, &crashed);
        let (file, length) = last_generation(&crashed);
        if length > durable {
            let keep = durable + lost.index((length - durable + 1) as usize) as u64;
            std::fs::File::options().write(true).open(file).unwrap().set_len(keep).unwrap();
        }
        let reopened = open(&crashed);
        let present: Vec<SeqNo> =
            reopened.op_terms_above(-1).unwrap().into_iter().map(|(seq_no, _)| seq_no).collect();
        for index in &order[..=synced] {
            prop_assert!(present.contains(&(*index as SeqNo)), "{index} of {present:?}");
        }
        // What is there is a history of its own: the documents follow from it.
        let expected = create(&dir.path().join("expected"));
        for seq_no in &present {
            expected.apply(&history[*seq_no as usize]).unwrap();
        }
        expected.refresh().unwrap();
        prop_assert_eq!(searchable(&reopened), searchable(&expected));
    }
}

fn last_generation(shard: &Path) -> (PathBuf, u64) {
    let number = |path: &Path| -> Option<u64> {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix("translog-")?
            .strip_suffix(".tlog")?
            .parse()
            .ok()
    };
    let last = std::fs::read_dir(shard.join("translog"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| number(path).is_some())
        .max_by_key(|path| number(path))
        .unwrap();
    let length = std::fs::metadata(&last).unwrap().len();
    (last, length)
}

/// A commit made while others write holds exactly what its payload says: the rest is replayed.
#[test]
fn what_was_written_beside_a_commit_is_replayed() {
    for round in 0..4 {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("shard");
        let shard = create(&path);
        put(&shard, "0", 0);
        let done = AtomicBool::new(false);
        let written = std::thread::scope(|scope| {
            let writer = scope.spawn(|| {
                let mut n = 0;
                while !done.load(Ordering::Acquire) {
                    n += 1;
                    put(&shard, &n.to_string(), n);
                }
                n
            });
            for _ in 0..=round % 3 {
                shard.refresh().unwrap();
            }
            done.store(true, Ordering::Release);
            writer.join().unwrap()
        });
        shard.sync().unwrap();
        let crashed = dir.path().join("crashed");
        copy_dir(&path, &crashed);
        let reopened = open(&crashed);
        assert_eq!(reopened.local_checkpoint(), written);
        let lost: Vec<i64> = (0..=written)
            .filter(|n| n_of(&reopened, &n.to_string()) != Some(*n))
            .collect();
        assert!(lost.is_empty(), "lost {lost:?} of {written}");
    }
}

/// Another process writes, says what it has synced, and is killed in the middle.
#[test]
fn a_killed_process_loses_nothing_that_it_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("shard");
    drop(create(&path));
    let mut next = 0;
    for acknowledgements in [40, 150, 90] {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "engine::tests::crash::writes_until_killed"])
            .args(["--ignored", "--nocapture"])
            .env(CHILD_PATH, &path)
            .env(CHILD_FIRST, next.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        let acknowledged = output
            .lines()
            .filter_map(|line| line.unwrap().strip_prefix(ACKNOWLEDGED)?.parse().ok())
            .take(acknowledgements)
            .last();
        child.kill().unwrap();
        child.wait().unwrap();
        let acknowledged: i64 = acknowledged.expect("the writer has acknowledged something");

        let shard = open(&path);
        assert!(shard.local_checkpoint() >= acknowledged);
        assert_eq!(shard.local_checkpoint(), shard.max_seq_no());
        // It may have done more than it said, but nothing else.
        let mut expected: HashMap<String, Option<i64>> = HashMap::new();
        for n in 0..=shard.max_seq_no() {
            let (id, deleted) = step(n);
            expected.insert(id, (!deleted).then_some(n));
        }
        for (id, n) in expected {
            assert_eq!(n_of(&shard, &id), n, "{id}");
        }
        next = shard.max_seq_no() + 1;
    }
}

/// Not a test by itself: the process that the one above kills.
#[test]
#[ignore = "runs until it is killed"]
fn writes_until_killed() {
    let Some(path) = std::env::var_os(CHILD_PATH) else {
        return;
    };
    let first: i64 = std::env::var(CHILD_FIRST).unwrap().parse().unwrap();
    let shard = open(Path::new(&path));
    let shard = &shard;
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for round in 0.. {
                match round % 4 {
                    3 => shard.flush().unwrap(),
                    _ => shard.refresh().unwrap(),
                }
            }
        });
        for n in first.. {
            match step(n) {
                (id, true) => drop(shard.delete(1, &id, Condition::default()).unwrap()),
                (id, false) => drop(put(shard, &id, n)),
            }
            if n % 3 == 0 {
                shard.sync().unwrap();
                // Ends with a panic should the parent be gone.
                println!("{ACKNOWLEDGED}{n}");
            }
        }
    });
}

/// The document that the writer's operation of a number is on, and whether it is a delete.
fn step(n: i64) -> (String, bool) {
    ((n % 20).to_string(), n % 7 == 0)
}

const ACKNOWLEDGED: &str = "acknowledged ";
const CHILD_PATH: &str = "RINGWALL_TEST_SHARD";
const CHILD_FIRST: &str = "RINGWALL_TEST_FIRST";
