//! `ostree-prepare-root`: the program is in the library of the same crate, where tests reach it.

#![no_main]

system::entry_point!(prepare_root::run_program);
