//! Work on every core: a key of 2048 bits takes about 0.2 s, a cluster has many.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;

use crate::error::CommandError;
use crate::terminal::Terminal;

/// Makes something of every item, in the order of the items, and shows on a screen how far it is.
///
/// Stops at the first error.
pub(super) fn make_all<I: Sync, T: Send>(
    items: &[I],
    make: impl Fn(&I) -> Result<T, CommandError> + Sync,
    terminal: &mut Terminal,
) -> Result<Vec<T>, CommandError> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::channel();
    let mut made: Vec<Option<T>> = items.iter().map(|_| None).collect();
    std::thread::scope(|scope| {
        for _ in 0..cores.min(items.len()) {
            let (sender, next, make) = (sender.clone(), &next, &make);
            scope.spawn(move || {
                while let Some((number, item)) = take(items, next) {
                    // Nobody listens any more after an error.
                    if sender.send((number, make(item))).is_err() {
                        return;
                    }
                }
            });
        }
        drop(sender);
        let mut done = 0;
        for (number, result) in receiver {
            made[number] =
                Some(result.inspect_err(|_| next.store(items.len(), Ordering::Relaxed))?);
            done += 1;
            if items.len() > 1 {
                terminal.status(format!("{done} of {} made", items.len()));
            }
        }
        Ok::<(), CommandError>(())
    })?;
    Ok(made.into_iter().flatten().collect())
}

fn take<'a, I>(items: &'a [I], next: &AtomicUsize) -> Option<(usize, &'a I)> {
    let number = next.fetch_add(1, Ordering::Relaxed);
    Some((number, items.get(number)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_keep_the_order_and_the_first_error_ends_it() {
        let (mut terminal, ..) = Terminal::scripted("");
        let items: Vec<u32> = (0..500).collect();
        let doubled = make_all(&items, |item| Ok(item * 2), &mut terminal).unwrap();
        assert_eq!(
            doubled,
            items.iter().map(|item| item * 2).collect::<Vec<_>>()
        );
        let fail = |item: &u32| match item {
            7 => Err(CommandError::usage("seven")),
            other => Ok(*other),
        };
        let error = make_all(&items, fail, &mut terminal).unwrap_err();
        assert_eq!(error.message, "seven");
        assert!(make_all(&[], fail, &mut terminal).unwrap().is_empty());
    }
}
