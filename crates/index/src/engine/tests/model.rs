//! The engine beside a plain map: random sequences of what a copy goes through, compared after
//! every step by id and by search. A failure names the seed that repeats its sequence:
//! `RINGWALL_MODEL_SEED=n cargo test -p ringwall-index model`. `RINGWALL_MODEL_SEQUENCES` says how
//! many there are.

use std::collections::BTreeMap;
use std::fmt::Write;

use proptest::test_runner::{RngAlgorithm, TestRng};

use super::*;

/// What a step of a sequence does.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Indexes a document under one of a few ids, so that most are updates.
    Index,
    /// Indexes several, so that segments differ in size.
    Several,
    Delete,
    /// Indexes if the document is as it was last, or deletes it: a conflict when it is not.
    Conditional,
    Sync,
    Refresh,
    Flush,
    /// Waits for merges, and closes the writer.
    Merge,
    /// Closes the copy in good order and opens it again.
    Reopen,
    /// Takes the files as they are at this moment, with merges half done, and opens them.
    Kill,
    /// Copies the files to another copy, which goes on in its place.
    Recover,
}

/// How often each comes, out of the sum.
const STEPS: [(Step, u32); 11] = [
    (Step::Index, 24),
    (Step::Several, 16),
    (Step::Delete, 12),
    (Step::Conditional, 6),
    (Step::Sync, 4),
    (Step::Refresh, 30),
    (Step::Flush, 3),
    (Step::Merge, 2),
    (Step::Reopen, 10),
    (Step::Kill, 8),
    (Step::Recover, 2),
];

#[test]
fn the_engine_agrees_with_a_plain_map() {
    let number = |name: &str| std::env::var(name).ok()?.parse::<u64>().ok();
    let (first, sequences) = match number("RINGWALL_MODEL_SEED") {
        Some(seed) => (seed, 1),
        None => (
            u64::from_le_bytes(ringwall_base::ids::random_bytes()),
            number("RINGWALL_MODEL_SEQUENCES").unwrap_or(300),
        ),
    };
    println!("{sequences} sequences from seed {first}");
    for sequence in 0..sequences {
        let mut world = World::new(first.wrapping_add(sequence));
        for _ in 0..world.below(80) + 20 {
            world.step();
        }
    }
}

struct World {
    seed: u64,
    random: TestRng,
    directory: tempfile::TempDir,
    /// Of the directory in use.
    generation: u32,
    options: ShardOptions,
    shard: Option<Shard>,
    /// Every operation in order: the id, and the content or `None` for a delete.
    history: Vec<(String, Option<i64>)>,
    /// Operations that a crash must not undo.
    synced: usize,
    /// Documents by id, with their last sequence number.
    current: Documents,
    /// As of the last refresh.
    visible: Documents,
    log: String,
}

type Documents = BTreeMap<String, (SeqNo, i64)>;

impl World {
    fn new(seed: u64) -> Self {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed.to_le_bytes());
        let mut world = Self {
            seed,
            random: TestRng::from_seed(RngAlgorithm::ChaCha, &bytes),
            directory: directory(),
            generation: 0,
            options: options(),
            shard: None,
            history: Vec::new(),
            synced: 0,
            current: Documents::new(),
            visible: Documents::new(),
            log: String::new(),
        };
        world.options.segments_per_merge = Some(2 + world.below(6) as usize);
        let new = NewShard {
            identity: identity("a"),
        };
        Shard::create(&world.path(), new, &mapping()).unwrap();
        world.open();
        world
    }

    fn below(&mut self, end: u32) -> u32 {
        self.random.next_u32() % end
    }

    fn path(&self) -> PathBuf {
        self.directory.path().join(self.generation.to_string())
    }

    fn shard(&self) -> &Shard {
        self.shard.as_ref().unwrap()
    }

    fn open(&mut self) {
        self.shard = Some(Shard::open(&self.path(), mapping(), self.options.clone()).unwrap());
    }

    fn step(&mut self) {
        let mut at = self.below(STEPS.iter().map(|(_, weight)| weight).sum());
        let step = STEPS.iter().find(|(_, weight)| {
            let found = at < *weight;
            at = at.saturating_sub(*weight);
            found
        });
        let step = step.unwrap().0;
        let id = format!("id{}", self.below(IDS));
        writeln!(self.log, "{step:?} {id}").unwrap();
        // A commit syncs the translog first; a refresh without a change commits nothing.
        let commits = match step {
            Step::Refresh => self.shard().needs_refresh(),
            Step::Flush => true,
            _ => false,
        };
        match step {
            Step::Index => self.index(&id, Condition::default()),
            Step::Several => {
                for _ in 0..self.below(6) + 2 {
                    let id = format!("id{}", self.below(IDS));
                    self.index(&id, Condition::default());
                }
            }
            Step::Delete => self.delete(&id, Condition::default()),
            Step::Conditional => self.conditional(&id),
            Step::Sync => self.sync(),
            Step::Refresh => self.shard().refresh().unwrap(),
            Step::Flush => self.shard().flush().unwrap(),
            Step::Merge => drop(self.shard().close_writer_if_idle(Duration::ZERO).unwrap()),
            Step::Reopen => self.reopen(),
            Step::Kill => self.kill(),
            Step::Recover => self.recover(),
        }
        if commits {
            self.synced = self.history.len();
            self.visible = self.current.clone();
        }
        self.compare();
    }

    fn index(&mut self, id: &str, condition: Condition) {
        let n = self.history.len() as i64;
        let applied = put_if(self.shard(), id, n, condition).unwrap();
        let expected = match self.current.contains_key(id) {
            true => WriteResult::Updated,
            false => WriteResult::Created,
        };
        assert_eq!(applied.result, expected, "{}", self.story());
        self.record(id, Some(n), applied);
    }

    fn delete(&mut self, id: &str, condition: Condition) {
        let applied = self.shard().delete(1, id, condition).unwrap();
        let expected = match self.current.contains_key(id) {
            true => WriteResult::Deleted,
            false => WriteResult::NotFound,
        };
        assert_eq!(applied.result, expected, "{}", self.story());
        self.record(id, None, applied);
    }

    fn record(&mut self, id: &str, n: Option<i64>, applied: Applied) {
        let seq_no = self.history.len() as SeqNo;
        assert_eq!(applied.operation.seq_no, seq_no, "{}", self.story());
        self.history.push((id.to_owned(), n));
        put_in(&mut self.current, seq_no, id, n);
    }

    fn conditional(&mut self, id: &str) {
        let at = self.current.get(id).map(|(seq_no, _)| *seq_no);
        let on = |seq_no| Condition {
            if_seq_no: Some(seq_no),
            if_primary_term: Some(1),
            ..Condition::default()
        };
        // What is in force before is refused ...
        let earlier = on(at.unwrap_or(0) - 1);
        assert!(put_if(self.shard(), id, -1, earlier).is_err());
        // ... and what is in force now goes through.
        match at {
            Some(seq_no) if self.below(2) == 0 => self.delete(id, on(seq_no)),
            Some(seq_no) => self.index(id, on(seq_no)),
            None => {
                assert!(
                    put_if(self.shard(), id, -1, on(0)).is_err(),
                    "{}",
                    self.story()
                );
                let create = Condition {
                    create: true,
                    ..Condition::default()
                };
                self.index(id, create);
            }
        }
    }

    fn sync(&mut self) {
        self.shard().sync().unwrap();
        self.synced = self.history.len();
    }

    fn reopen(&mut self) {
        if self.below(2) == 0 {
            self.shard().flush().unwrap();
        } else {
            self.sync();
        }
        self.synced = self.history.len();
        self.shard = None;
        self.open();
        self.visible = self.current.clone();
    }

    fn kill(&mut self) {
        let from = self.path();
        self.generation += 1;
        copy_of_a_killed(&from, &self.path());
        self.shard = None;
        self.open();
        let present = (self.shard().max_seq_no() + 1) as usize;
        assert!(
            (self.synced..=self.history.len()).contains(&present),
            "{present} operations after a crash, {} were synced. {}",
            self.synced,
            self.story()
        );
        self.history.truncate(present);
        self.synced = present;
        self.current = fold(&self.history);
        self.visible = self.current.clone();
    }

    fn recover(&mut self) {
        let shard = self.shard.take().unwrap();
        self.generation += 1;
        let snapshot = shard.recovery_snapshot().unwrap();
        let files = snapshot.files().to_vec();
        let mut installer =
            ShardInstaller::begin(&self.path(), files.clone(), snapshot.commit().clone()).unwrap();
        for file in files {
            let content = snapshot.read_chunk(&file.name, 0, u32::MAX).unwrap();
            installer.write_chunk(&file.name, 0, &content).unwrap();
        }
        installer.finish(identity("b")).unwrap();
        drop(snapshot);
        drop(shard);
        self.open();
        self.synced = self.history.len();
        self.visible = self.current.clone();
    }

    fn compare(&self) {
        for id in (0..IDS).map(|n| format!("id{n}")) {
            let found = self
                .shard()
                .get(&id, &View::whole())
                .unwrap()
                .map(|document| {
                    let value: serde_json::Value =
                        serde_json::from_slice(&document.source).unwrap();
                    (document.seq_no, value["n"].as_i64().unwrap())
                });
            let expected = self.current.get(&id).copied();
            assert_eq!(found, expected, "GET {id}. {}", self.story());
        }
        let found: Vec<(String, SeqNo)> = searchable(self.shard())
            .into_iter()
            .map(|(id, seq_no, _, _)| (id, seq_no))
            .collect();
        let expected: Vec<(String, SeqNo)> = self
            .visible
            .iter()
            .map(|(id, (seq_no, _))| (id.clone(), *seq_no))
            .collect();
        assert_eq!(found, expected, "search. {}", self.story());
    }

    fn story(&self) -> String {
        format!("RINGWALL_MODEL_SEED={}\n{}", self.seed, self.log)
    }
}

/// In memory where there is a place for it: a process that is killed loses nothing of that either, and
/// nothing waits for a disk.
fn directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn fold(history: &[(String, Option<i64>)]) -> Documents {
    let mut documents = Documents::new();
    for (seq_no, (id, n)) in history.iter().enumerate() {
        put_in(&mut documents, seq_no as SeqNo, id, *n);
    }
    documents
}

fn put_in(documents: &mut Documents, seq_no: SeqNo, id: &str, n: Option<i64>) {
    match n {
        Some(n) => drop(documents.insert(id.to_owned(), (seq_no, n))),
        None => drop(documents.remove(id)),
    }
}

/// The files of a process killed at this moment: one list of segments, and beside its files those
/// of merges, as far as they are written.
fn copy_of_a_killed(from: &Path, to: &Path) {
    let list = Path::new("index/meta.json");
    loop {
        let before = std::fs::read(from.join(list)).unwrap();
        for (file, _) in files(from) {
            let target = to.join(&file);
            std::fs::create_dir_all(target.parent().unwrap()).unwrap();
            // One that is gone meanwhile belongs to no list, or the list has changed.
            let _ = std::fs::copy(from.join(&file), target);
        }
        if std::fs::read(from.join(list)).unwrap() == before
            && std::fs::read(to.join(list)).unwrap() == before
        {
            return;
        }
        std::fs::remove_dir_all(to).unwrap();
    }
}

const IDS: u32 = 12;
