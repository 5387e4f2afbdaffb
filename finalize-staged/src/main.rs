//! `ostree-finalize-staged`: the program is in the library of the same crate, where tests reach it. By other names the same binary is
//! what runs on the boot path of the real root.

#![no_main]

system::entry_point!(finalize_staged::run_program, real_root::by_name);
