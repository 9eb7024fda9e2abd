//! A cluster on a simulated network, disk and clock, driven by one seed.
//!
//! Around the real code of a node, from the request of a client to the files: only sockets, clocks, chance, threads and
//! the loss of power are the simulation's. Each seed is lived through by a process of its own, so that nothing is left of
//! another. What a seed found, it finds again:
//!
//! ```text
//! cargo test --test world                          # 20 seeds
//! SIMULATION_SEEDS=1000..3000 cargo test --test world
//! SIMULATION_SEED=1234 cargo test --test world     # one, with its log on the standard error
//! ```

mod clients;
mod deterministic;
mod network;
mod world;

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hasher};
use std::io::{self, Write};
use std::ops::Range;
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const SEED: &str = "SIMULATION_SEED";
const SEEDS: &str = "SIMULATION_SEEDS";
const THREAD: &str = "world";
const QUIET: &str = "SIMULATION_QUIET";

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    match std::env::var(SEED) {
        Ok(seed) => live(seed.parse().expect("a seed is a number")),
        Err(_) => try_all(),
    }
}

fn live(seed: u64) -> ExitCode {
    let home = tempfile::tempdir().unwrap();
    let trace = Trace {
        hasher: Arc::default(),
        home: home.path().to_string_lossy().into(),
    };
    let level = std::env::var("RUST_LOG").unwrap_or_else(|_| "info".to_owned());
    let written = trace.clone();
    tracing_subscriber::fmt()
        .with_env_filter(level)
        .with_ansi(false)
        .without_time()
        .with_writer(move || written.clone())
        .init();
    // The standard library seeds the maps of a thread once: this one has seen nothing yet.
    let path = home.path().to_owned();
    let thread = std::thread::Builder::new().name(THREAD.to_owned());
    let living = thread.spawn(move || world::live(seed, &path)).unwrap();
    let Ok(report) = living.join() else {
        println!("seed {seed}: panicked");
        return ExitCode::FAILURE;
    };
    println!(
        "seed {seed}: {} acknowledged, {} unanswered, {} s, trace {:016x}",
        report.acknowledged,
        report.unanswered,
        report.lasted.as_secs(),
        trace.hash()
    );
    for finding in &report.findings {
        println!("seed {seed}: {finding}");
    }
    match report.findings.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Hashes what the simulation logs: two runs of a seed that differ in anything that is logged differ here.
#[derive(Clone)]
struct Trace {
    hasher: Arc<Mutex<DefaultHasher>>,
    home: Arc<str>,
}

impl Trace {
    fn hash(&self) -> u64 {
        self.hasher.lock().unwrap().finish()
    }
}

impl Write for Trace {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // Threads of libraries log when they come to it.
        if std::thread::current().name() == Some(THREAD) {
            let text = String::from_utf8_lossy(line);
            let text = text.replace(&*self.home, "home");
            self.hasher.lock().unwrap().write(text.as_bytes());
        }
        if std::env::var_os(QUIET).is_none() {
            io::stderr().write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn try_all() -> ExitCode {
    let all = seeds();
    // The first one twice: what a seed found must be found again.
    let lives: Vec<u64> = std::iter::once(all.start).chain(all.clone()).collect();
    let next = AtomicUsize::new(0);
    let results = Mutex::new(BTreeMap::new());
    let work = || {
        while let Some(seed) = lives.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (succeeded, said) = run(*seed);
            print!("{said}");
            let mut results = results.lock().unwrap();
            results
                .entry(*seed)
                .or_insert_with(Vec::new)
                .push((succeeded, said));
        }
    };
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        (0..workers).for_each(|_| drop(scope.spawn(work)));
    });
    let results = results.into_inner().unwrap();
    let mut outcome = ExitCode::SUCCESS;
    let failed = |lives: &Vec<(bool, String)>| lives.iter().any(|(succeeded, _)| !succeeded);
    let failed: Vec<&u64> = results
        .iter()
        .filter(|(_, lives)| failed(lives))
        .map(|(seed, _)| seed)
        .collect();
    if !failed.is_empty() {
        println!("failed: {failed:?}; {SEED}=<one of them> shows what happens");
        outcome = ExitCode::FAILURE;
    }
    for (seed, lives) in &results {
        if lives.iter().any(|(_, said)| *said != lives[0].1) {
            println!("the seed {seed} was not lived through alike twice");
            outcome = ExitCode::FAILURE;
        }
    }
    outcome
}

fn run(seed: u64) -> (bool, String) {
    let program = std::env::current_exe().unwrap();
    // Threads of a life may write until its process ends: only then is its directory empty for good.
    let home = tempfile::tempdir().unwrap();
    let mut child = Command::new(program);
    let output = child
        .env(SEED, seed.to_string())
        .env("TMPDIR", home.path())
        .env(QUIET, "1")
        .output()
        .unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
    )
}

fn seeds() -> Range<u64> {
    let Ok(text) = std::env::var(SEEDS) else {
        return 0..20;
    };
    let (first, end) = text.split_once("..").expect("seeds are `first..end`");
    first.parse().unwrap()..end.parse().unwrap()
}
