//! Where consoles and reports of machines go.

use std::fs;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result};

use crate::cache::directory_of_this_checkout;

/// An empty directory for the machine that is described by `name`.
pub(crate) fn fresh_directory(name: &str) -> Result<PathBuf> {
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    let directory = directory_of_this_checkout("runs")?.join(format!("{name}{}", nth_of_this_process(&name)));
    if directory.exists() {
        fs::remove_dir_all(&directory).with_context(|| format!("removing {}", directory.display()))?;
    }
    fs::create_dir(&directory).with_context(|| format!("creating {}", directory.display()))?;
    Ok(directory)
}

/// A suffix, so that two tests with one scenario keep a log each.
fn nth_of_this_process(name: &str) -> usize {
    static RUNS: Mutex<Vec<String>> = Mutex::new(Vec::new());
    let mut runs = RUNS.lock().unwrap_or_else(PoisonError::into_inner);
    runs.push(name.to_owned());
    runs.iter().filter(|run| *run == name).count()
}
