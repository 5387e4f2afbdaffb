//! Waiting to be asked to end.

/// Returns when this process gets SIGTERM or SIGINT.
pub fn wait_for_termination() {
    // SAFETY: the set is initialised by sigemptyset(3) before it is used, and outlives the calls; both signals are blocked before
    // they are waited for, so that none is lost in between.
    unsafe {
        let mut wanted = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigemptyset(wanted.as_mut_ptr());
        libc::sigaddset(wanted.as_mut_ptr(), libc::SIGTERM);
        libc::sigaddset(wanted.as_mut_ptr(), libc::SIGINT);
        libc::sigprocmask(libc::SIG_BLOCK, wanted.as_ptr(), std::ptr::null_mut());
        while libc::sigwaitinfo(wanted.as_ptr(), std::ptr::null_mut()) < 0 {}
    }
}
