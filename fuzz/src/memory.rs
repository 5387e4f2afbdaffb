//! How much memory a thread has, by an allocator that counts.

#![allow(unsafe_code, reason = "an allocator cannot be written without")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

/// The allocator of programs that measure.
#[derive(Debug)]
pub struct Counting;

thread_local! {
    /// What is held now; less than nothing where another thread has allocated what this one has freed.
    static NOW: Cell<isize> = const { Cell::new(0) };
    static PEAK: Cell<isize> = const { Cell::new(0) };
}

fn add(bytes: isize) {
    let now = NOW.get() + bytes;
    NOW.set(now);
    PEAK.set(PEAK.get().max(now));
}

// SAFETY: every call is handed on to the system's allocator as it is.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        add(layout.size().cast_signed());
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, at: *mut u8, layout: Layout) {
        add(-layout.size().cast_signed());
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.dealloc(at, layout) }
    }

    unsafe fn realloc(&self, at: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // Old and new may be held at once.
        add(size.cast_signed());
        add(-layout.size().cast_signed());
        // SAFETY: the caller's promise is the one that is asked for.
        unsafe { System.realloc(at, layout, size) }
    }
}

/// Runs, and returns how many bytes were held at once beyond what was held before; 0 in a program with another allocator.
pub fn peak(run: impl FnOnce()) -> usize {
    let before = NOW.get();
    PEAK.set(before);
    run();
    usize::try_from(PEAK.get() - before).unwrap_or_default()
}
