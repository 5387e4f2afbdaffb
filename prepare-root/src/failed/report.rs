//! The report of a failed boot, twice: for the screen on which it is read, and the whole of it for later.

mod advice;
mod checksums;
mod configuration;
mod date;
mod deployment;
mod elsewhere;
mod init;
mod likely_cause;
mod list;
mod screen;
mod what_to_do;
mod whole;

pub(crate) use screen::screen;
pub(crate) use whole::whole;

#[cfg(test)]
mod tests;
