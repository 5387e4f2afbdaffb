//! What is on an OSTree disk, for both programs: which kernel a deployment has, and the bootcsum of it. Only reads, and decides
//! nothing about what happens to it.

pub mod bootcsum;
pub mod kernel_layout;
pub mod tree_walk;
