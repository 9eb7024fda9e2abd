//! Chance, time and the durability of files, as one seed has them.
//!
//! The standard library offers no other way to choose the seeds of its hash maps, or what its clocks say: both come from
//! functions of the C library, which this program defines in its place. What the thread of the simulation asks is
//! answered by the seed; threads that it starts have chance from the seed, and time from the system; every other thread
//! gets what the system says. This is the only unsafe code of the repository.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

/// From now on, this thread lives by the seed.
pub fn begin(seed: u64) {
    CHANCE.set(Some(seed));
    NANOSECONDS.set(Some(START.as_nanos() as i64));
}

/// Sets what the clocks say: how long the simulation has lasted.
pub fn set_time(elapsed: Duration) {
    NANOSECONDS.set(Some((START + elapsed).as_nanos() as i64));
}

/// Returns how many bytes of a file a loss of power leaves: those of the last sync.
pub fn durable_bytes(file: &Path) -> u64 {
    let Ok(metadata) = file.metadata() else {
        return 0;
    };
    let durable = DURABLE.lock().unwrap();
    let known = durable.get(&(metadata.dev(), metadata.ino()));
    known.copied().unwrap_or(0)
}

/// When it begins, by the clocks: later than the machine was started, so that differences do not end below zero.
const START: Duration = Duration::from_secs(1_000_000_000);

thread_local! {
    static CHANCE: Cell<Option<u64>> = const { Cell::new(None) };
    static NANOSECONDS: Cell<Option<i64>> = const { Cell::new(None) };
}

/// By device and number of the file.
static DURABLE: Mutex<BTreeMap<(u64, u64), u64>> = Mutex::new(BTreeMap::new());

/// SplitMix64. Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators".
fn next(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Chance of a simulation, apart from that of the program.
pub struct Dice(pub u64);

impl Dice {
    /// Returns a number below the limit.
    pub fn below(&mut self, limit: u64) -> u64 {
        next(&mut self.0) % limit
    }

    /// Returns a time between two, in milliseconds.
    pub fn milliseconds(&mut self, from: u64, to: u64) -> Duration {
        Duration::from_millis(from + self.below(to - from))
    }
}

#[allow(unsafe_code, reason = "see the head of the file")]
mod libc_overrides {
    use super::{CHANCE, DURABLE, NANOSECONDS, next};

    /// Source: getrandom(2).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, flags: u32) -> isize {
        let Ok(Some(mut state)) = CHANCE.try_with(std::cell::Cell::get) else {
            return unsafe { libc::syscall(libc::SYS_getrandom, buffer, length, flags) as isize };
        };
        let bytes = unsafe { std::slice::from_raw_parts_mut(buffer, length) };
        for chunk in bytes.chunks_mut(8) {
            let random = next(&mut state).to_le_bytes();
            chunk.copy_from_slice(&random[..chunk.len()]);
        }
        let _ = CHANCE.try_with(|chance| chance.set(Some(state)));
        length as isize
    }

    /// Source: clock_gettime(2).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> i32 {
        let Ok(Some(now)) = NANOSECONDS.try_with(std::cell::Cell::get) else {
            return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) as i32 };
        };
        unsafe {
            (*time).tv_sec = now / 1_000_000_000;
            (*time).tv_nsec = now % 1_000_000_000;
        }
        0
    }

    /// Source: fdatasync(2).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn fdatasync(file: i32) -> i32 {
        let done = unsafe { libc::syscall(libc::SYS_fdatasync, file) as i32 };
        note(file, done)
    }

    /// Source: fsync(2).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn fsync(file: i32) -> i32 {
        let done = unsafe { libc::syscall(libc::SYS_fsync, file) as i32 };
        note(file, done)
    }

    type Routine = extern "C" fn(*mut libc::c_void) -> *mut libc::c_void;

    /// A thread that the simulation starts, such as one that writes a segment: what it draws follows from the seed, too.
    struct Start {
        routine: Routine,
        argument: *mut libc::c_void,
        seed: u64,
    }

    /// Source: pthread_create(3).
    #[unsafe(no_mangle)]
    unsafe extern "C" fn pthread_create(
        thread: *mut libc::pthread_t,
        attributes: *const libc::pthread_attr_t,
        routine: Routine,
        argument: *mut libc::c_void,
    ) -> i32 {
        type Create = unsafe extern "C" fn(
            *mut libc::pthread_t,
            *const libc::pthread_attr_t,
            Routine,
            *mut libc::c_void,
        ) -> i32;
        let create: Create = unsafe {
            std::mem::transmute(libc::dlsym(libc::RTLD_NEXT, c"pthread_create".as_ptr()))
        };
        let Ok(Some(mut state)) = CHANCE.try_with(std::cell::Cell::get) else {
            return unsafe { create(thread, attributes, routine, argument) };
        };
        let seed = next(&mut state);
        CHANCE.set(Some(state));
        let start = Box::into_raw(Box::new(Start {
            routine,
            argument,
            seed,
        }));
        unsafe { create(thread, attributes, begin_thread, start.cast()) }
    }

    extern "C" fn begin_thread(start: *mut libc::c_void) -> *mut libc::c_void {
        let start = unsafe { Box::from_raw(start.cast::<Start>()) };
        CHANCE.set(Some(start.seed));
        (start.routine)(start.argument)
    }

    fn note(file: i32, done: i32) -> i32 {
        let mut status = std::mem::MaybeUninit::<libc::stat>::zeroed();
        if done == 0 && unsafe { libc::fstat(file, status.as_mut_ptr()) } == 0 {
            let status = unsafe { status.assume_init() };
            let key = (status.st_dev, status.st_ino);
            DURABLE.lock().unwrap().insert(key, status.st_size as u64);
        }
        done
    }
}
