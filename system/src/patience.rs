//! Opens files that cannot be opened immediately.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;

/// A lookup that raced with a rename nearly always succeeds immediately.
const AT_ONCE: usize = 16;
const PAUSE: Duration = Duration::from_millis(20);
/// Longer than the 45 s after which the kernel takes a lease from a program that does not give it back
/// (`/proc/sys/fs/lease-break-time`).
const LONGEST: Duration = Duration::from_secs(60);

/// Calls `open` again while it returns `EAGAIN`. `openat2(2)` returns it if a rename races with the lookup of `..`. An open with
/// `O_NONBLOCK` returns it if another program, such as a file server, has a lease on the file (fcntl(2)). The first attempt makes
/// the kernel ask that program to release it.
pub(crate) fn again(open: &mut dyn FnMut() -> Result<OwnedFd, Errno>) -> Result<OwnedFd, Errno> {
    let mut begin = None;
    for attempt in 1.. {
        let result = open();
        if result.as_ref().err() != Some(&Errno::AGAIN) {
            return result;
        }
        if attempt < AT_ONCE {
            continue;
        }
        if begin.get_or_insert_with(Instant::now).elapsed() >= LONGEST {
            return result;
        }
        std::thread::sleep(PAUSE);
    }
    Err(Errno::AGAIN)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    #[test]
    fn only_what_may_succeed_later_is_tried_again() {
        let tries = Cell::new(0);
        let opened = again(&mut || {
            tries.set(tries.get() + 1);
            if tries.get() < AT_ONCE + 3 { Err(Errno::AGAIN) } else { Err(Errno::NOENT) }
        });
        assert_eq!((opened.unwrap_err(), tries.get()), (Errno::NOENT, AT_ONCE + 3));
    }
}
