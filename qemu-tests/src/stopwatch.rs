//! Which tests of a suite take longest.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How many are named at the end of a suite.
const NAMED: usize = 10;
/// Less is not worth a line.
const SHORT: Duration = Duration::from_secs(2);

static TAKEN: Mutex<Vec<(Duration, String)>> = Mutex::new(Vec::new());

/// Does `work`, which is the test `name`, and remembers how long it has taken.
pub fn timed<T>(name: &str, work: impl FnOnce() -> T) -> T {
    let begin = Instant::now();
    let result = work();
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner).push((begin.elapsed(), name.to_owned()));
    result
}

/// Prints the longest ones, at the end of a suite.
pub fn print_longest() {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    taken.sort_by(|a, b| b.cmp(a));
    let long: Vec<_> = taken.iter().take(NAMED).filter(|(time, _)| *time >= SHORT).collect();
    if !long.is_empty() {
        println!("longest:");
    }
    for (time, name) in long {
        println!("{:8.1} s  {name}", time.as_secs_f64());
    }
}
